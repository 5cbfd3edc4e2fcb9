// Command mutants breaks the program on purpose, one rule at a time, and checks
// that the test which guards the rule fails.
//
// Each file *.mutant in this folder is one small patch:
//
//	name: tracker-forgets-the-open-one
//	rule: S3
//	package: ./internal/checkpoint
//	test: TestS3TrackerIsTheSettledPrefix
//	file: internal/checkpoint/tracker.go
//	quick: true
//	--- old
//	text that occurs once in the file
//	--- new
//	text to put in its place
//
// test is a regular expression for the whole name of a test. Optional are
// `tags: integration` and `quick: true` (run by `make test` too). A file may
// repeat `--- file PATH` before a further old and new, to change several files.
//
// The patches are applied to a scratch copy, never to the tree itself. A patch
// that does not fit, does not compile, or names no test, is an error: the list
// is part of the code and changes with it.
package main
