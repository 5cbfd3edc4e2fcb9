// Package monstachedb reads and writes what Monstache 6 keeps in MongoDB, in the
// database that its config-database-name names: the position of its streams, as a
// time (collection monstache) or as resume tokens (tokens), and the list of the
// collections whose direct reads have finished (directreads).
//
// It knows nothing of what a flow follows, and never decides where one starts. It
// fails with *flow.Error: Auth with the privileges that are missing; Config when
// what lies there was not written by Monstache; Transient while MongoDB can't be
// reached.
package monstachedb
