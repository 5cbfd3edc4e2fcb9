package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"sluice/internal/flow"
)

// distribution is one version of a search engine, as its vendor publishes it
// for tests.
type distribution struct {
	product, version string
	minJava, maxJava int
	sha256           string // of the zip; "" is put together from its parts
}

// distributions lists them, the newest of a product first. All is pinned.
func distributions() []distribution {
	return []distribution{
		{OpenSearch, "3.6.0", 21, 99, "a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286"},
		{OpenSearch, "2.19.4", 11, 23, ""},
		{Elasticsearch, "9.5.3", 21, 99, "bec49f3b8d00e75c8d1cec85c35298635ec9fbd3ae80ef5aeb6bc05abdb3db2d"},
		{Elasticsearch, "8.19.21", 21, 99, "215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a"},
		{Elasticsearch, "7.17.29", 11, 17, "841ee00be1a72ba8e707b5a2fb55f23fe7a4184369b4585393238b1c903eedaf"},
	}
}

func (d distribution) String() string { return d.product + " " + d.version }

// folder is the name of the top folder in the zip, and in the cache.
func (d distribution) folder() string { return d.product + "-" + d.version }

// artifact is the Maven coordinate of the zip.
func (d distribution) artifact() string {
	return "org." + d.product + ".distribution.integ-test-zip:" + d.product + ":" + d.version + ":zip"
}

// image is the name in docker.
func (d distribution) image() string {
	if d.product == OpenSearch {
		return "opensearchproject/opensearch:" + d.version
	}
	return d.product + ":" + d.version
}

// unneeded are modules that only cost time at each start.
func (d distribution) unneeded() []string {
	if d.product != OpenSearch {
		return nil
	}
	return []string{
		"ingest-geoip", "ingest-user-agent", "opensearch-dashboards", "transport-grpc", "repository-url",
		"rank-eval", "rule-framework", "search-pipeline-common", "store-subdirectory", "percolator", "lang-expression",
		"cache-common", "geo",
	}
}

// searchHint is the cure when there is no engine.
const searchHint = `Have one of these:
- mvn (which fetches the engine once) and a Java runtime of 21 or newer on the PATH, in JAVA_HOME, /usr/lib/jvm, /opt, or named by SLUICE_TEST_JAVA_HOME (11 to 17 does for Elasticsearch 7.17)
- a docker engine that can run opensearchproject/opensearch
- SLUICE_TEST_SEARCH_URL=http://... of an engine (tests that break a server still need one of the above)`

// engine says how to run a search engine: a home and a Java, or an image.
type engine struct {
	dist   distribution
	home   string
	java   java
	image  string
	origin string
}

// findEngine looks for what the options ask for.
func findEngine(ctx context.Context, o SearchOptions) (engine, error) {
	d, err := o.distribution()
	if err != nil {
		return engine{}, noEngine(err)
	}
	jvm, javaErr := findJava(ctx, d.minJava, d.maxJava)
	if javaErr != nil && o.Product == "" {
		old, _ := SearchOptions{Product: Elasticsearch, Version: "7.17.29"}.distribution()
		if j, err := findJava(ctx, old.minJava, old.maxJava); err == nil {
			d, jvm, javaErr = old, j, nil
		}
	}
	homeErr := error(nil)
	if javaErr == nil {
		var home string
		if home, homeErr = unpacked(ctx, d); homeErr == nil && o.Secure != nil && d.product == OpenSearch {
			home, homeErr = withSecurity(ctx, d, home)
		}
		if homeErr == nil && o.Attachment {
			home, homeErr = withAttachment(ctx, d, home)
		}
		if homeErr == nil {
			origin := fmt.Sprintf("Maven, Java %d", jvm.major)
			if o.Attachment {
				origin += ", " + attachmentPlugin + " " + attachmentVersion
			}
			return engine{dist: d, home: home, java: jvm, origin: origin}, nil
		}
	}
	if o.Attachment {
		return engine{}, noEngine(fmt.Errorf("%s with %s: %w", d, attachmentPlugin, errors.Join(javaErr, homeErr)))
	}
	if err := dockerEngine(ctx); err != nil {
		return engine{}, noEngine(fmt.Errorf("%s: %w; docker: %w", d, errors.Join(javaErr, homeErr), err))
	}
	return engine{dist: d, image: d.image(), origin: "docker"}, nil
}

func noEngine(err error) error {
	return &flow.Error{Op: "find search engine", Class: flow.Config, Err: err, Hint: searchHint}
}

// searchRoot is the cache folder for d. Elasticsearch started by root runs as
// nobody, who can't look into root's home: then it lies in a folder for all.
func searchRoot(d distribution) (string, error) {
	if d.product != Elasticsearch || os.Getuid() != 0 || os.Getenv("SLUICE_TEST_CACHE") != "" {
		return cacheDir()
	}
	root := "/var/tmp/sluice-testkit"
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	// Taking it over keeps others from planting code for us to run.
	return root, errors.Join(os.Chown(root, 0, 0), os.Chmod(root, 0o755))
}

// unpacked returns the home of d in the cache, fetched with Maven if need be.
func unpacked(ctx context.Context, d distribution) (string, error) {
	root, err := searchRoot(d)
	if err != nil {
		return "", err
	}
	fetch := fetchEngine
	if d.assembled() {
		fetch = assemble
	}
	return cached(ctx, root, d.folder(), func(ctx context.Context, dir string) error { return fetch(ctx, d, dir) })
}

// fetchEngine fills dir with the content of d's top folder.
func fetchEngine(ctx context.Context, d distribution, dir string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("no mvn on the PATH to fetch it with")
	}
	// In the same folder, so that the content can be moved into place.
	scratch, err := os.MkdirTemp(filepath.Dir(dir), "mvn.tmp-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
		"-Dartifact="+d.artifact(), "-DoutputDirectory="+scratch)
	cmd.Dir = scratch // the plug-in leaves markers behind
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w: %s", err, lastLine(out))
	}
	archive := filepath.Join(scratch, d.folder()+".zip")
	if err := checkSum(archive, d.sha256); err != nil {
		return err
	}
	if err := unzip(archive, scratch, nil); err != nil {
		return err
	}
	home := filepath.Join(scratch, d.folder())
	for _, module := range d.unneeded() {
		if err := os.RemoveAll(filepath.Join(home, "modules", module)); err != nil {
			return err
		}
	}
	return moveContent(home, dir)
}

func moveContent(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for e := range slices.Values(entries) {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
