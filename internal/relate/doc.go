// Package relate keeps what a change of one document owes to others: a bounded
// queue of keys whose dependants have to be written again, in laps that go page
// by page.
//
// It is pure: it reads no server, waits for nobody and takes no lock; who owns a
// Queue guards it. It must not know what a page is, nor drop a key: what has no
// room is refused, and the owner waits.
//
// Failure modes: none of its own. A key that is larger than the whole budget is
// let in alone, so that it can't stop the flow for ever.
package relate
