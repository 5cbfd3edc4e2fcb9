// Command testreport reads `go test -json` from its standard input, prints one
// line per package and the output of what failed, and ends with two tables:
// what ran, and against which servers of which version. The latter are the
// lines that tests print, starting with "TESTKIT ".
//
// It exits with 1 if anything failed, if a test was skipped (a server that can't
// be had is a failure, not a skip), or if nothing ran.
package main
