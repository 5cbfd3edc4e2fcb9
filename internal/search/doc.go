// Package search writes documents to Elasticsearch 7.17 to 9 and OpenSearch 1
// to 3: it builds bulk bodies straight from BSON, gives every change its
// verdict (rule S7), makes and watches over the indexes, and keeps positions
// and dead letters in an index where the user wants them there.
//
// It is the only place that speaks HTTP to the engine, and the only one that
// knows what the two products and their versions do differently. It must not
// read MongoDB, decide what is written next, or repeat a write by itself: who
// calls does that, with what the verdict says.
//
// How it fails: an answer that is not whole, or does not fit what was sent, is
// never taken for a success: the outcome is unknown, and the same is sent again,
// which is harmless, as every write carries a version (WriteUpdate has none, and
// waits until what was sent can no longer run). A write never makes an
// index under an alias's name: it halts, and the index is copied anew. A fault
// of one document is a dead letter, a fault of the index or of rights never is.
package search
