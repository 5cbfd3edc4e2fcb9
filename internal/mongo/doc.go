// Package mongo is the source of a flow: it copies the collections that a flow
// follows in parallel chunks and joins the copy to one change stream, so that
// nothing is missed and a restart goes on where it was.
//
// It delivers documents as views into the replies of the server and never
// decodes one. It must not know what the changes are for: no search engine, no
// index, no rendering. It writes nothing to MongoDB.
//
// Rules that it carries: S1 (versions from server time, transactions held
// whole), S4 and S5 (the copy), S6 (history is never skipped), S8 (re-reads),
// S12 (positions), S13 (what is missing), S14 (filters), S15 (drops, renames).
//
// Failure modes: what passes (network, elections, killed cursors) is tried
// again from our own token and is an error of class Transient meanwhile; history
// that the oplog no longer holds leads to a new copy or to an error of class
// Lost, as configured; a token that is no token, missing rights and a server
// that has no change streams are errors that name the cure.
package mongo
