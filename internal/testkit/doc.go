// Package testkit gives tests, the demo and the benchmarks real servers: it
// finds, fetches or builds, caches, starts, breaks and ends mongod, a search engine
// and an S3 server; S3Proxy breaks single requests to the last.
//
// It must not be imported by anything that ships. It never changes a server
// that it did not start, except by what its callers do through URI and URL.
//
// Failure modes: a server that cannot be had on a machine is an error that
// names the reason and the cures (never a skip); a server that does not come up
// within StartTimeout is an error with the end of its log. Processes die with
// the process that started them (on Linux by the kernel, even after a kill -9);
// containers, the last resort, are only removed by Stop.
package testkit
