// Package checkpoint keeps the place a flow has reached: which positions are
// settled (Tracker), where they are kept (Store, FileStore), who may write them
// (Keeper, by a fence) and whether they still belong to this source and these
// indexes (Bind).
//
// It must not know what a position means, talk to a network, or move a position
// past a change without a verdict (rule S3).
//
// How it fails: a save that fails keeps the older position, so the worst that
// follows is work done twice; a torn or newer file is refused with the way out,
// never guessed at; a second process on one file is refused by a lock; a writer
// that was overtaken gets ErrConflict and has to stop.
package checkpoint
