// Package deadletter keeps the changes whose document itself can't be written
// (rule S7), so that the rest may flow on: one Letter per key, durable before
// its change counts as settled, closed by any later settled change of the key.
//
// A letter says which document and why, never what is in it: a retry reads the
// document again. The package must not write to an index, nor decide what a
// dead letter is; sinks do. It must not hold all letters in memory: the Book
// holds their keys only.
//
// How it fails: Put returns the store's error, and the caller may not settle
// the changes then. A letter that can't be removed stays and is tried again
// with the next call; one letter too many is no harm. A store file that was
// damaged in the middle refuses to open; a half-written last line, as a crash
// leaves it, is cut off.
package deadletter
