// Package quota is a weighted semaphore whose size may change while it is held:
// what several share of memory or disk is cut anew when their number changes.
//
// It must not know what is counted. It fails only by the context of who waits.
package quota
