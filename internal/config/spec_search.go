package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
)

// AWS says that requests to the cluster are signed for Amazon OpenSearch
// Service; nothing is signed without Region.
type AWS struct {
	Region  string
	Service string
}

// On tells whether requests are signed.
func (a AWS) On() bool { return a.Region != "" }

func awsField(a *AWS) field {
	return field{
		Name: "aws",
		Doc: "Sign the requests (SigV4), for a domain of Amazon OpenSearch Service, instead of `auth`. The credentials come from the SDK's chain: " +
			"environment, profile, web identity, role of the container or machine; they are renewed by themselves.",
		Into: section(func() []field {
			return []field{
				{
					Name: "region", Into: text(&a.Region), Example: "eu-central-1",
					Doc:   "Region of the domain.",
					Check: func() error { return notBlank(a.Region) },
				},
				{
					Name: "service", Into: text(&a.Service), Example: "es",
					Doc:   "`es`, which is also meant without it. `aoss` (OpenSearch Serverless) is refused, with the reason.",
					Check: func() error { return checkService(a.Service) },
				},
			}
		}),
	}
}

func checkService(s string) error {
	switch s {
	case "es":
		return nil
	case "aoss":
		return errors.New("OpenSearch Serverless can't be kept true: it has no call to refresh an index or to change its settings, " +
			"and does not promise versions of writes; use a domain of OpenSearch Service")
	}
	return errors.New("wants es")
}

func cloudField(id *string) field {
	return field{
		Name: "cloud_id", Into: text(id), Example: "shop:ZXUtY2VudHJhbC0xLmF3cy5jbG91ZC5lcy5pbyQwYTFi",
		Doc: "Cloud id of a deployment of Elastic Cloud, as its console shows it, instead of `urls`.",
		Check: func() error {
			_, err := cloudURL(*id)
			return err
		},
	}
}

// cloudURL reads a cloud id: NAME:base64(HOST[:PORT]$ENGINE[:PORT]$KIBANA).
func cloudURL(id string) (string, error) {
	bad := errors.New("wants the whole cloud id, NAME:TEXT, as the console of Elastic Cloud shows it")
	_, encoded, ok := strings.Cut(id, ":")
	if !ok {
		encoded = id
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(encoded); err != nil {
			return "", bad
		}
	}
	parts := strings.Split(string(raw), "$")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return "", bad
	}
	host, port := splitPort(parts[0], "443")
	engine, port := splitPort(parts[1], port)
	if !regexp.MustCompile(`^[A-Za-z0-9.-]+:[0-9]{1,5}$`).MatchString(engine + "." + host + ":" + port) {
		return "", bad
	}
	return "https://" + net.JoinHostPort(engine+"."+host, port), nil
}

// splitPort cuts a port off the end.
func splitPort(s, without string) (host, port string) {
	if host, port, ok := strings.Cut(s, ":"); ok && port != "" {
		return host, port
	}
	return strings.TrimSuffix(s, ":"), without
}

// Addresses are the URLs of the cluster, wherever they come from.
func (s Search) Addresses() []string {
	if s.CloudID == "" {
		return s.URLs
	}
	u, err := cloudURL(s.CloudID)
	if err != nil {
		return nil // loading refuses it
	}
	return []string{u}
}

// crossReach checks what of the ways to the cluster excludes each other.
func (c *Config) crossReach(d *decoder, at func(...string) place) {
	s := &c.Search
	if s.CloudID != "" && len(s.URLs) > 0 {
		d.fail(at("search.cloud_id"), "search", "give urls or cloud_id, not both")
	}
	if s.AWS.Service != "" && !s.AWS.On() {
		d.fail(at("search.aws.service"), "search.aws", "service without region")
	}
	if s.AWS.On() && s.Auth != (Auth{}) {
		d.fail(at("search.aws.region"), "search", "give auth or aws, not both: a request has one Authorization")
	}
	if s.AWS.On() && s.CloudID != "" {
		d.fail(at("search.aws.region"), "search", "aws is for Amazon OpenSearch Service, cloud_id for Elastic Cloud")
	}
}

// checkPipeline looks at the name of an ingest pipeline.
func checkPipeline(name string) error {
	if name == "" || name == "_none" || strings.ContainsAny(name, " ,*?\"<>|\\/#") {
		return fmt.Errorf("wants the name of an ingest pipeline")
	}
	return nil
}
