// Package archivedb is MongoDB's side of the archive: what a collection is fit
// for, the documents that are old, their guarded delete, their return, and the
// rows that the archive keeps in the database sluice (journal, leases, ledger,
// holds).
//
// It decides nothing about when to archive or delete. It fails with *flow.Error;
// whatever is unknown after a failure is found out by reading the rows again.
package archivedb
