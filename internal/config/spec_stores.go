package config

import (
	"errors"
	"net/url"
	"time"
)

func s3Spec(s *S3) []field {
	return []field{
		{
			Name: "endpoint", Into: text(&s.Endpoint), Example: "https://minio.example:9000",
			Doc:   "URL of the store. Without it, AWS.",
			Check: func() error { return checkEndpoint(s.Endpoint) },
		},
		{
			Name: "region", Into: text(&s.Region), Example: "eu-central-1",
			Doc:   "Region. Without it, that of the SDK's chain (environment, profile), else `us-east-1`.",
			Check: func() error { return notBlank(s.Region) },
		},
		{
			Name: "path_style", Into: toggle(&s.PathStyle), Default: "false",
			Doc: "The bucket is in the path and not in the host's name. Most stores other than AWS want this.",
		},
		{
			Name: "ca_file", Into: text(&s.CAFile), Example: "/etc/sluice/ca.pem",
			Doc:   "PEM file of certificate authorities to trust besides the system's.",
			Check: func() error { return notBlank(s.CAFile) },
		},
		{
			Name: "checksums", Into: choice(&s.Checksums, ChecksumsSupported, ChecksumsRequired),
			Default: "when_supported", Example: "when_required",
			Doc: "When requests carry the checksums of S3. `when_required` is for stores that refuse them otherwise. " +
				"Our own SHA-256 is checked in both cases.",
		},
		{
			Name: "access_key", Into: secret(&s.AccessKey), Example: "${S3_ACCESS_KEY}",
			Doc: "Access key. Better none: the SDK's chain finds roles, web identities, profiles and the environment by itself, and renews them.",
		},
		{
			Name: "secret_key", Into: secret(&s.SecretKey), Example: "${file:/run/secrets/s3}",
			Doc: "Secret of `access_key`. Better none, and never in clear in this file.",
		},
		{
			Name: "session_token", Into: secret(&s.SessionToken), Example: "${S3_SESSION_TOKEN}",
			Doc: "Session token, for keys that are temporary.",
		},
		{
			Name: "part_size", Into: size(&s.PartSize, 5<<20, 5<<30), Default: "16MiB", Example: "16MiB",
			Doc: "Size of the parts in which larger objects are uploaded.",
		},
	}
}

func governorSpec(g *Governor) []field {
	return []field{
		{
			Name: "max_lag", Into: duration(&g.MaxLag, 0, time.Hour), Default: "10s", Example: "10s",
			Doc: "Wait while a member of the replica set is further behind than this, and go slower from half of it on, if that is more than the 4 s " +
				"that heartbeats can't tell from nothing; `0` doesn't ask.",
		},
		{
			Name: "min_oplog_window", Into: duration(&g.MinOplogWindow, 0, 1000*time.Hour), Default: "1h", Example: "24h",
			Doc: "Wait while the oplog, once it is full, reaches back less than this; `0` doesn't ask.",
		},
		{
			Name: "max_dirty", Into: share(&g.MaxDirty), Default: "0.15", Example: "0.1",
			Doc: "Wait while more than this share of the cache is dirty; `1` doesn't ask.",
		},
		{
			Name: "max_queue", Into: number(&g.MaxQueue, 0, 1000000), Default: "64", Example: "64",
			Doc: "Wait while more operations than this wait for a ticket; `0` doesn't ask.",
		},
		{
			Name: "pause_file", Into: text(&g.PauseFile), Example: "/var/lib/sluice/pause",
			Doc:   "While this file is there, all that it governs pauses.",
			Check: func() error { return notBlank(g.PauseFile) },
		},
		{
			Name: "unknown_lag", Into: choice(&g.UnknownLag, LagPause, LagAllow), Default: "pause", Example: "pause",
			Doc: "The lag can't be read, for want of a right or of an answer: `pause`, or `allow` to go on. Copies always go on.",
		},
	}
}

func spoolSpec(s *Spool) []field {
	return []field{
		{
			Name: "path", Into: text(&s.Path), Example: "/var/lib/sluice/spool",
			Doc:   "Directory. Without it, `spool` in the directory of `state.path`.",
			Check: func() error { return notBlank(s.Path) },
		},
		{
			Name: "max", Into: size(&s.Max, 1e6, 1<<50), Default: "1GB", Example: "1GB",
			Doc: "The most bytes in it. When they are used up, reading waits.",
		},
	}
}

// checkEndpoint looks at the URL of an object store. No message holds it.
func checkEndpoint(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("wants a URL such as https://s3.example:9000")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("wants a URL without login, ? and #; the keys are fields of this section")
	}
	return nil
}
