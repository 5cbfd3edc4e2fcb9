// Package script is the stage that runs a user's JavaScript over documents that are
// about to be written: filters, which say whether a document belongs into the index,
// and maps, which change it.
//
// A document is shown to a script as it lies in BSON: fields are decoded when the
// script touches them, and a document of which nothing was changed goes on as the bytes
// that it was; so do the fields that were not changed of one that was.
//
// It must not know of search engines, and of MongoDB only what Reader says. A script
// decides about one document and nothing else: what it throws, and a call that is cut
// because it takes too long, goes too deep or builds too much, is a fault of that one
// document (flow.Change.Fault).
//
// What can go wrong: a script that can't be read, at Compile, with its line; and what
// natives of the engine do between two steps of a script, which nobody can interrupt:
// limits.go caps those that are known to take long or much.
package script
