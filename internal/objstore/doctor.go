package objstore

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/flow"
)

// doctorPatience bounds the trial of one store, maxSkew how far its clock may be
// off: S3 refuses requests from 15 minutes on.
const (
	doctorPatience = 45 * time.Second
	maxSkew        = time.Minute
)

// Visit tries a store by Probe, and compares its clock with ours, which now
// tells. name is the store in the findings. In a bucket with versions a delete
// marker and the version that it hides stay.
func Visit(ctx context.Context, name string, s Store, now func() time.Time) flow.Findings {
	var f flow.Findings
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	asked := now()
	info, err := probe(ctx, s)
	switch {
	case err == nil:
		f.OK("store.works", name, "objects can be put once, read, listed and deleted")
	case flow.ClassOf(err) == flow.Auth:
		f.Fail(flow.FindingError, "store.rights", name, err, "")
	default:
		f.Fail(flow.FindingError, "store.works", name, err, "look at the URL of the store, at s3.endpoint and the network")
	}
	// It tells whole seconds of the moment of the write.
	if took := now().Sub(asked); !info.Modified.IsZero() {
		judgeClock(&f, name, asked.Add(took/2).Sub(info.Modified), took)
	}
	return f
}

func judgeClock(f *flow.Findings, name string, ours, took time.Duration) {
	const check = "store.clock"
	if ours.Abs() <= maxSkew+took {
		f.OK(check, name, "its clock and ours agree")
		return
	}
	way := "ahead of"
	if ours < 0 {
		way = "behind"
	}
	f.Add(flow.FindingWarning, check, name, fmt.Sprintf("our clock is %s %s that of the store", ours.Abs().Round(time.Second), way),
		"from 15 minutes on S3 refuses every request", "set the clock of this machine (NTP: chrony or systemd-timesyncd), or that of the server")
}

// LocalDir is the directory of a store's URL; ok is false for another kind of
// store, and for what is no URL of a store.
func LocalDir(rawURL string) (dir string, ok bool) {
	u, err := parse(rawURL)
	if err != nil || u.Scheme != "file" {
		return "", false
	}
	return localPath(u.Path), true
}
