// Package archive moves old documents out of MongoDB: it plans, reads, packs,
// uploads, verifies, commits, and only then deletes what still is what was
// archived (rules A1 to A7). Each run is a state machine whose journal lies in
// MongoDB; any process that holds the lease of a rule goes on where another died.
//
// It is the only place that decides to delete. It talks to nobody itself: what it
// needs of MongoDB and of the bucket it is given (Deps). It must not delete by a
// query, only by the keys of a committed manifest, and must not judge age by our
// own clock.
//
// How it fails: before a manifest is committed, nothing in MongoDB has changed
// and the pack is given up; after that, the next run finishes from the manifest's
// keys. A run that ends with an error is resumable, by any process. A rule that
// copies without deleting, or deletes after a soak, reads only what is younger
// than its high-water mark: a document that gets an older date after the mark has
// passed it (or that was restored, or on hold then) is not seen again, unless it
// had changed when its pack was deleted.
package archive
