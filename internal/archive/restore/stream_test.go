package restore

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

func documents(t *testing.T, from, to int, end error) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for i := from; i < to; i++ {
			if !yield(Document{ID: idValue(t, i), Doc: doc(t, i, i), From: "object:member", Entry: i}, nil) {
				return
			}
		}
		if end != nil {
			yield(Document{}, end)
		}
	}
}

func stream(t *testing.T, l *server, o Options, docs iter.Seq2[Document, error]) Report {
	t.Helper()
	d := deps(nil, l)
	r, err := Stream(context.Background(), d, o, docs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStreamRestores(t *testing.T) {
	l := newServer()
	l.put("shop.orders", doc(t, 3, 99))
	o := Options{Into: "shop.orders", HoldFor: time.Hour, BatchDocs: 2}
	o.DryRun = true
	if r := stream(t, l, o, documents(t, 0, 7, nil)); counts(r) != "found 7 inserted 6 equal 0 replaced 0 conflict 1 refused 0" || len(l.calls) != 0 {
		t.Errorf("%s, %q", counts(r), l.calls)
	}
	o.DryRun = false
	r := stream(t, l, o, documents(t, 0, 7, nil))
	if counts(r) != "found 7 inserted 6 equal 0 replaced 0 conflict 1 refused 0" || len(l.held) != 7 || len(l.marks) != 0 {
		t.Errorf("%s, %d held, %v", counts(r), len(l.held), l.marks)
	}
	if len(r.Troubles) != 1 || r.Troubles[0].Pack != "object:member" || r.Troubles[0].Entry != 3 {
		t.Errorf("%+v", r.Troubles)
	}
	if r = stream(t, l, o, documents(t, 0, 7, nil)); counts(r) != "found 7 inserted 0 equal 6 replaced 0 conflict 1 refused 0" {
		t.Errorf("again: %s", counts(r))
	}
	o.Limit = 2
	if r = stream(t, l, o, documents(t, 10, 20, nil)); r.Found != 2 || r.Inserted != 2 {
		t.Errorf("%s", counts(r))
	}
}

func TestStreamEnds(t *testing.T) {
	l, d := newServer(), Deps{}
	d.Live = l
	broken := &flow.Error{Op: "read", Class: flow.Transient, Err: errors.New("broken")}
	r, err := Stream(context.Background(), d, Options{Into: "shop.orders", BatchDocs: 2}, documents(t, 0, 5, broken))
	class(t, err, flow.Transient)
	if r.Found != 5 || r.Inserted != 4 {
		t.Errorf("%s", counts(r))
	}
	_, err = Stream(context.Background(), d, Options{Into: "shop.orders", OnConflict: cold.ReplaceOlder}, documents(t, 0, 1, nil))
	class(t, err, flow.Config)
	_, err = Stream(context.Background(), d, Options{Into: "shop"}, documents(t, 0, 1, nil))
	class(t, err, flow.Config)
	l.put("shop.orders", doc(t, 9, 1))
	_, err = Stream(context.Background(), d, Options{Into: "shop.orders", OnConflict: cold.FailConflict}, documents(t, 9, 10, nil))
	class(t, err, flow.Conflict)
}
