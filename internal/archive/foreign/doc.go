// Package foreign reads the archives that go-chive itself wrote: objects named
// COLLECTION_archive_20060102_150405.tar.gz, each a tar of files named
// archive_SECONDS.bson, each ONE BSON document {docs: [ … ]}, a batch, which may
// exceed the 16 MiB of a document.
//
// There is no manifest and no hash: what it can prove is that gzip, tar and BSON
// are whole. The order of fields, and all but one of fields of the same name, were
// lost when the archive was written.
//
// It must not write to the store, and must not talk to MongoDB. What is damaged
// is a Fault, which names object, member and byte; a store that can't be read is
// an error, never a Fault.
//
// Memory: one document at a time, and in Choose and Check a table of the keys, of
// 29 to 57 bytes for each: 10 million are 570 MB at most.
package foreign
