// Package vitals asks a MongoDB deployment how it is doing: replication lag,
// flow control, oplog window, cache and queues, for package governor (rule A7).
//
// It only reads. How it fails: a right that is missing is no error, what it would
// tell is unknown and Load.Missing names it; a server that does not answer is an
// error of class Transient.
package vitals
