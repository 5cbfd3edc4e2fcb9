package testkit

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// SharedMongo returns the replica set of one node that all tests of this
// process share: give it a database of its own per test (UniqueName), and
// break nothing. Main stops it.
func SharedMongo(t testing.TB) *Mongo {
	t.Helper()
	m, err := running.mongo.get(func() (*Mongo, error) { return StartMongo(context.Background(), MongoOptions{}) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// SharedSearch returns the search engine that all tests of this process share:
// use index names of your own (UniqueName), and break nothing. Main stops it.
func SharedSearch(t testing.TB) *Search {
	t.Helper()
	s, err := running.find.get(func() (*Search, error) { return StartSearch(context.Background(), SearchOptions{}) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// SharedS3 returns the S3 server that all tests of this process share: use a
// prefix of your own in its bucket, or a bucket (UniqueName), and break nothing.
// Main stops it.
func SharedS3(t testing.TB) *S3 {
	t.Helper()
	s, err := running.s3.get(func() (*S3, error) { return StartS3(context.Background(), S3Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Main runs the tests of a package, ends all servers, looks for goroutines left
// behind, and prints what ran against which version. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
func Main(m *testing.M, ignore ...goleak.Option) int {
	code := m.Run()
	for _, s := range running.rest() {
		if err := s.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "testkit: stop %s: %v\n", s, err)
			code = max(code, 1)
		}
	}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
	if code == 0 {
		if err := goleak.Find(ignore...); err != nil {
			fmt.Fprintf(os.Stderr, "testkit: goroutines left behind: %v\n", err)
			code = 1
		}
	}
	report(code)
	return code
}

// report prints one line per kind of server, and where the logs are if
// something failed; else it removes them.
func report(code int) {
	running.mu.Lock()
	defer running.mu.Unlock()
	count := map[string]int{}
	for _, name := range running.ran {
		count[name]++
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range count {
			if !yield(name) {
				return
			}
		}
	})
	for _, name := range names {
		fmt.Fprintf(os.Stderr, "TESTKIT %s, started %d x\n", name, count[name])
	}
	for _, dir := range running.dirs {
		if code == 0 {
			_ = os.RemoveAll(dir)
		} else {
			fmt.Fprintf(os.Stderr, "testkit: logs kept in %s\n", dir)
		}
	}
}
