// Command matrix runs the suites that write to a search engine against every
// engine that the testkit can start, one after the other, and puts what ran,
// and what the build of the engine lacks, into docs/compatibility.md. It exits
// with 1 if anything failed; a version that could not be started has failed.
package main
