// Package restore brings archived documents back to MongoDB (rule A8): the
// mirror of archiving. It chooses documents as `archive find` does (rule, time,
// keys, query), of each key the newest version that left MongoDB, ends open runs
// first, puts the keys on hold for the rules, and only then inserts, bit for bit;
// what is live already is never overwritten unless it is an older archived
// version and the policy says so.
//
// It may be killed at any time and run again: what is restored already is Equal,
// and a bookmark skips what is done. It must not delete anything, from MongoDB or
// from the bucket.
//
// Memory: one batch of documents (Options.BatchBytes), as much again of conflicts
// that are looked into, one manifest, and, of each namespace whose packs are more
// than one, a catalogue.IDSet of the keys of the packs that were gone through (21
// to 43 bytes for a key); with keys given, only of those.
//
// It fails with *flow.Error. A conflict under the policy `fail` is of class
// Conflict, and the Report tells of it.
package restore
