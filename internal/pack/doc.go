// Package pack is the archive's file format: the pack (BSON documents, one after
// another, in independent compressed frames), its manifest (what lies where, with
// a hash of each document) and its outcome (what became of the documents in
// MongoDB). docs/archive-format.md tells every byte of it.
//
// It must not talk to MongoDB or to a bucket, must not change a document (rule
// A1: what goes in comes out, bit for bit; nothing is ever decoded to a map), and
// must not take a length, a count or an offset from a file before it was checked.
//
// How it fails: a file that is cut, damaged or of another pack is a *flow.Error
// that names the object, the place in it and what differs (rule A4). A file of a
// newer format is refused with the way out. A document or a key too large for the
// format is refused by the Writer, before anything of it is written.
package pack
