// Package governor lets background work go as fast as the live database bears
// (rule A7): it stops for replication lag, flow control, a short oplog, a dirty
// cache or long queues, and slows down near those limits. The archive paces its
// reads and deletes by it, and a flow the reading of its snapshot.
//
// It asks about the load through a function that it is given, and must not talk
// to a database itself. How it fails: a load that can't be read is a pause, and
// so is an unknown lag unless that is allowed; the reason is always shown.
package governor
