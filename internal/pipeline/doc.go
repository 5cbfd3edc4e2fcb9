// Package pipeline is the pump of a flow: it reads batches from a source,
// fans their changes out to lanes by key, folds the changes of one key,
// re-reads what has to be read, writes to the sink, carries every change to a
// final verdict and then acks its batch.
//
// What it holds to: a change is never sent while an earlier one of its key is
// unsettled (rule S2); a batch is acked once, when all its changes are settled
// (S3, S7); one budget in bytes bounds what waits (S9); a snapshot document
// never brings a deleted one back (S5); a control event is applied when all
// before it is settled, and nothing after it is written earlier (S15).
//
// It must not know MongoDB or a search engine, must not look inside documents
// and must not keep positions: sources do that when they are acked.
//
// How it fails: what passes (transient errors, Retry verdicts) is tried again
// for ever with a growing pause, which stops the reading and loses nothing;
// unclassified errors are tried a few times; anything else ends Run with that
// error, and every batch in flight is acked with it, so that the checkpoint
// stays where it was.
package pipeline
