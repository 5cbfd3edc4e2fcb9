package testkit

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// The products of SearchOptions.
const (
	OpenSearch    = "opensearch"
	Elasticsearch = "elasticsearch"
)

// SearchOptions say which search engine a test wants. The zero value is what
// SLUICE_TEST_SEARCH_VERSION names, such as "elasticsearch 8.19.21"; without it
// OpenSearch 3.6.0, or Elasticsearch 7.17.29 where only an older Java is.
type SearchOptions struct {
	// Product is OpenSearch or Elasticsearch; Version one of Versions (without
	// it the newest of the product).
	Product, Version string
	// DiskThreshold leaves the disk watermarks on, for disk-full tests.
	DiskThreshold bool
	// HeapMB is the Java heap in MB; 0 is 512.
	HeapMB int
	// FullJIT leaves the optimizing compiler on: half as fast to start, much
	// faster later. For benchmarks.
	FullJIT bool
	// MaxContentLength is the largest body, such as "1mb"; empty is the
	// engine's default (100mb).
	MaxContentLength string
	// Settings are more lines of the configuration file, "key: value" each.
	Settings []string
	// Own: an engine of our own in any case, not the one of
	// SLUICE_TEST_SEARCH_URL; for tests that stop, kill or fill it.
	Own bool
	// Secure turns on users and TLS.
	Secure *Secure
	// Attachment adds the plug-in ingest-attachment; OpenSearch 3.6.0 only.
	Attachment bool
}

// Versions are the product and version pairs that StartSearch can start.
func Versions() [][2]string {
	var all [][2]string
	for _, d := range distributions() {
		all = append(all, [2]string{d.product, d.version})
	}
	return all
}

// plain tells whether any engine will do.
func (o SearchOptions) plain() bool {
	return o.Product == "" && o.Version == "" && !o.DiskThreshold && o.HeapMB == 0 && !o.FullJIT &&
		o.MaxContentLength == "" && len(o.Settings) == 0 && !o.Own && o.Secure == nil && !o.Attachment
}

// distribution picks what the options ask for.
func (o SearchOptions) distribution() (distribution, error) {
	product := o.Product
	if product == "" {
		product = OpenSearch
	}
	var names []string
	for _, d := range distributions() {
		if d.product == product && (o.Version == "" || o.Version == d.version) {
			return d, nil
		}
		names = append(names, d.String())
	}
	return distribution{}, fmt.Errorf("no %s %s here, but %s", product, o.Version, strings.Join(names, ", "))
}

// config is the text of the configuration file.
func (o SearchOptions) config(s *Search) string {
	lines := []string{
		"cluster.name: sluice-testkit", "node.name: n1", "discovery.type: single-node",
		"network.host: 127.0.0.1", fmt.Sprintf("http.port: %d", s.port.number), "transport.port: 0",
		"path.data: " + s.path("data"), "path.logs: " + s.path(logsDir),
	}
	if !o.DiskThreshold {
		lines = append(lines, "cluster.routing.allocation.disk.threshold_enabled: false")
	}
	if o.MaxContentLength != "" {
		lines = append(lines, "http.max_content_length: "+o.MaxContentLength)
	}
	switch {
	case o.Secure != nil:
		lines = append(lines, o.Secure.settings(s.dist.product)...)
	case s.dist.product == Elasticsearch:
		lines = append(lines, "xpack.security.enabled: false")
	}
	return strings.Join(append(lines, o.Settings...), "\n") + "\n"
}

var errVersionWithoutProduct = errors.New("a Version needs its Product")

func (o SearchOptions) withDefaults() (SearchOptions, error) {
	if o.Version != "" && o.Product == "" {
		return o, errVersionWithoutProduct
	}
	if wanted := os.Getenv("SLUICE_TEST_SEARCH_VERSION"); wanted != "" && o.Product == "" {
		o.Product, o.Version, _ = strings.Cut(wanted, " ")
	}
	if o.Secure != nil && o.Product == OpenSearch && o.Version != securityFor {
		return o, errSecureProduct
	}
	if o.Attachment {
		if o.Secure != nil || o.Product != "" && (o.Product != OpenSearch || o.Version != attachmentIn) {
			return o, errAttachmentProduct
		}
		o.Product, o.Version = OpenSearch, attachmentIn
	}
	if o.HeapMB == 0 {
		o.HeapMB = 512
	}
	return o, nil
}

// externalSearch is the engine that the environment offers.
func externalSearch() string { return strings.TrimSuffix(os.Getenv("SLUICE_TEST_SEARCH_URL"), "/") }
