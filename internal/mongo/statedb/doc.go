// Package statedb keeps what a flow must not forget in MongoDB, in the database
// sluice: positions (checkpoints) and dead letters (dead_letters). Both are
// written with majority and journal, so that an election takes nothing back.
//
// It knows nothing of what a position means, and never reads what a flow
// follows; the source in turn never follows the database sluice. It fails with
// *flow.Error: Conflict when another owner has saved; Auth with the privilege
// and the role that are missing; Transient while there is no majority, and then
// the outcome of a write is unknown until it is read again.
package statedb
