package pipeline

import (
	"testing"

	"sluice/internal/flow"
)

// txn marks changes as those of one transaction.
func txn(changes ...flow.Change) []flow.Change {
	for i := range changes {
		changes[i].Txn = true
	}
	return changes
}

// TestS1TransactionStaysWhole: the limit of bytes does not cut a transaction in
// two, so each of its keys is written once at its version.
func TestS1TransactionStaysWhole(t *testing.T) {
	f := func(want string, changes ...flow.Change) {
		t.Helper()
		got, _ := merged(t, Options{BatchBytes: 1}, batchOf(changes...))
		if want = "write first@1 | " + want; got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
	f("write a@5 write b@5 | write c@6", append(txn(write("a", 5), write("b", 5), write("a", 5)), write("c", 6))...)
	f("write a@5 | write b@6", txn(write("a", 5), write("b", 6))...)
	f("write a@5 | write b@5", write("a", 5), write("b", 5))
	f("delete a@5 write b@5", txn(write("a", 5), write("b", 5), remove("a", 5))...)
}
