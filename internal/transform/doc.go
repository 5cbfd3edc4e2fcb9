// Package transform decides by the content of a document whether it belongs
// into the index: the conditions of a flow (where), looked at after the read
// (rule S14). What changes fields is compiled into the plan of package
// transcode, which carries it out while it writes; the golden files of both are
// in testdata.
//
// It must not do I/O, log, or know of search engines, and never changes a
// document. Where a document lies (index, id, routing: Places) it says, and not what
// is done about it.
//
// What can go wrong: a condition that is no query, or a template that is none, at
// Compile; a document that a template gives no place, at Places.Of. A document that is no
// valid BSON is not judged here: it is handed on, and fails where it is written.
package transform
