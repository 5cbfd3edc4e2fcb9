package pipeline

import (
	"context"
	"errors"
	"testing"

	"sluice/internal/flow"
)

// kept notes what came into the dead letters, and what was settled.
type kept struct{ put, settled int }

func (k *kept) Put(_ context.Context, changes []flow.Change, _ []flow.Verdict) error {
	k.put += len(changes)
	return nil
}

func (k *kept) Settled(_ context.Context, changes []flow.Change) error {
	k.settled += len(changes)
	return nil
}

// repairBatch is a repair of n documents.
func repairBatch(n int) flow.Batch {
	var changes []flow.Change
	for i := range n {
		changes = append(changes, write(int32(i), 5))
	}
	b := batchOf(changes...)
	b.Snapshot, b.Repair, b.Low = true, true, at(5)
	return b
}

// refusing is a sink to which every document is at fault.
func refusing() flow.Sink {
	return sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
		all := make([]flow.Verdict, len(b.Changes))
		for i := range all {
			all[i] = flow.Verdict{Outcome: flow.DeadLetter, Reason: "mapping", Err: errors.New("bad")}
		}
		return all, nil
	})
}

// TestS7RepairTripsNothing: what fails again when a person has it tried again is
// a dead letter anew, however many there are; it does not end the flow, as so
// many of the stream would.
func TestS7RepairTripsNothing(t *testing.T) {
	f := func(repair bool) (*kept, error) {
		t.Helper()
		b := repairBatch(2 * maxInRow)
		b.Repair = repair
		letters := &kept{}
		src := &fakeSource{batches: []flow.Batch{b}}
		return letters, New(Options{Snapshot: src, Sink: refusing(), DeadLetters: letters}).Run(t.Context(), nil)
	}
	if letters, err := f(true); err != nil || letters.put != 2*maxInRow {
		t.Errorf("%d letters: %v", letters.put, err)
	}
	if _, err := f(false); err == nil {
		t.Error("a copy whose documents all fail goes on")
	}
}

// TestS13RepairAtRest: without a pump a repair comes to the same verdicts: what
// passes is tried again, what fails is a letter, and what is settled closes its own.
func TestS13RepairAtRest(t *testing.T) {
	letters := &kept{}
	tries := 0
	sink := sinkFunc(func(_ context.Context, b flow.Batch) ([]flow.Verdict, error) {
		if tries++; tries == 1 {
			return nil, &flow.Error{Op: "write", Class: flow.Transient, Err: errors.New("busy")}
		}
		all := make([]flow.Verdict, len(b.Changes))
		for i := range all {
			all[i].Outcome = flow.Done
		}
		all[0] = flow.Verdict{Outcome: flow.DeadLetter, Reason: "mapping", Err: errors.New("bad")}
		return all, nil
	})
	r := Repair{Sink: sink, DeadLetters: letters}
	if err := r.Write(t.Context(), repairBatch(3)); err != nil || letters.put != 1 || letters.settled != 2 || tries != 2 {
		t.Errorf("%+v after %d tries: %v", letters, tries, err)
	}
	halt := sinkFunc(func(context.Context, flow.Batch) ([]flow.Verdict, error) {
		return nil, &flow.Error{Op: "write", Class: flow.Auth, Err: errors.New("no")}
	})
	r = Repair{Sink: halt, DeadLetters: letters}
	if err := r.Write(t.Context(), repairBatch(1)); flow.ClassOf(err) != flow.Auth {
		t.Error(err)
	}
}
