// Package lease says who may work: an owner, an expiry, a renewal and a fencing
// number, over one compare-and-set interface (Gray and Cheriton, "Leases", 1989;
// fencing as in Kleppmann, "How to do distributed locking", 2016).
//
// An observer judges expiry by its own monotonic clock over a beat that does
// not move; nobody's wall clock matters. An owner asks Check before each step
// that can do harm, and passes its fencing number to whatever it changes.
//
// It can not keep a frozen owner from waking up: only what compares the fencing
// number in the same transaction as the change can.
package lease
