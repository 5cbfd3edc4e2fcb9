// Package objstore keeps objects under keys, written whole and once (rule A4):
// in an S3 bucket or in a directory. It holds the nouns (Info, PutOptions,
// Body), the interfaces (Reader, Writer, Store), the two stores (S3, Dir) and
// two wrappers (WithRetry, WithLimit).
//
// What it must not do: replace an object, show one before all of it is stored,
// know what is in it, or log. Keys come from above and never repeat there; that
// Put refuses a key which exists is the second guard.
//
// Failure modes: every error is a *flow.Error with a class. ErrNotFound,
// ErrExists, ErrCold, ErrRange, ErrDamaged and ErrNoSpace are found by
// errors.Is. Class Transient means that nothing is known to be wrong but the
// moment, and that the outcome of a Put may be unknown; a second Put of the same
// body is safe. Class Auth and Config name in their hint what is missing. No
// error carries a key, a signature or a header.
package objstore
