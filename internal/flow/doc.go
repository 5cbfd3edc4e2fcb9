// Package flow holds the nouns of the data flow and the contracts between its
// parts: Change, Batch, Control, Verdict, Position, Error; Source, Stage, Sink.
//
// It imports nothing of ours and talks to nobody. It must not grow logic: what
// a noun means belongs here, what is done with it belongs to its owner.
package flow
