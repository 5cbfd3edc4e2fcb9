package deadletter

import (
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// TestS7RepairAtTheLettersOwnTime: on an idle server a document is read again at
// the time of the very event that its letter is about. That read has the event
// in it: it closes the letter, or puts its own reason in the place of the old.
func TestS7RepairAtTheLettersOwnTime(t *testing.T) {
	store := &memory{letters: map[Key]Letter{}}
	b, err := Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	at := bson.Timestamp{T: flow.VersionEpoch + 9, I: 3}
	v, err := flow.VersionOf(at)
	if err != nil {
		t.Fatal(err)
	}
	id := bson.RawValue{Type: bson.TypeInt32, Value: []byte{1, 0, 0, 0}}
	event := flow.Change{Op: flow.OpWrite, NS: shop, ID: id, Version: v, Time: at}
	read := event
	read.Version = v - 1 // just below the events of its time (S4)
	bad := func(c flow.Change, reason string) {
		t.Helper()
		err := b.Put(t.Context(), []flow.Change{c}, []flow.Verdict{{Outcome: flow.DeadLetter, Reason: reason, Err: errors.New("x")}})
		if err != nil {
			t.Fatal(err)
		}
	}
	bad(event, "old")
	bad(read, "new")
	if l := store.letters[KeyOf(&event)]; l.Reason != "new" || l.Version != v {
		t.Errorf("%+v", l)
	}
	earlier := event
	earlier.Version, earlier.Time.I = v-1, 2
	if err := b.Settled(t.Context(), []flow.Change{earlier}); err != nil || !b.Has(KeyOf(&event)) {
		t.Error("an older event closed it:", err)
	}
	if err := b.Settled(t.Context(), []flow.Change{read}); err != nil || b.Has(KeyOf(&event)) || b.Count() != 0 {
		t.Error("the read did not close it:", err)
	}
}
