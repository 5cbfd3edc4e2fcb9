package restore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/flow"
)

// Run restores. The Report is of use after an error too: it tells of what was
// done before.
func Run(ctx context.Context, d Deps, o Options) (Report, error) {
	if err := o.defaults(); err != nil {
		return Report{}, err
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	r := &restoring{d: d, o: o, report: Report{DryRun: o.DryRun}}
	err := r.run(ctx)
	return r.report, err
}

// restoring is one restore.
type restoring struct {
	d      Deps
	o      Options
	want   *catalogue.Wanted
	report Report
	// key names the restore in the journal, list the packs that it is from.
	key, list string
	// from is the bookmark of an earlier run; its Pack is "" once it is passed.
	from Bookmark
	// target is where the documents of the namespace in hand go.
	target flow.Namespace
	batch  []guest
	bytes  int
	// conflicts are looked into together (ReplaceOlder).
	conflicts     []guest
	conflictBytes int
	// next is the bookmark behind the last batch that has landed; since counts the
	// batches since one was put.
	next  Bookmark
	since int
	// flying is the batch that is being written while the next is read.
	flying *flight
}

// guest is a document on its way.
type guest struct {
	cold.Homecoming
	header *catalogue.Item
	entry  int
}

// marks is after how many batches a bookmark is put.
const marks = 4

func (r *restoring) run(ctx context.Context) (err error) {
	if r.want, err = catalogue.Want(r.o.Query, r.o.IDs, r.o.Doc); err != nil {
		return err
	}
	items, err := r.choose(ctx)
	if err != nil {
		return err
	}
	if err := r.resume(ctx, items); err != nil {
		return err
	}
	defer func() { // also after an error of reading: what was begun is counted
		if landed := r.land(); err == nil {
			err = landed
		}
	}()
	seen := &catalogue.IDSet{}
	for i := range items {
		if i == 0 || items[i-1].Header.NS != items[i].Header.NS {
			seen = &catalogue.IDSet{} // the packs of a namespace follow each other
			if err := r.enter(ctx, items[i]); err != nil {
				return err
			}
		}
		full, err := r.pack(ctx, &items[i], seen)
		if err != nil {
			return err
		}
		last := i+1 == len(items) || items[i+1].Header.NS != items[i].Header.NS
		if full || last {
			if err := r.settle(ctx); err != nil {
				return err
			}
		}
		if full {
			break
		}
	}
	if r.d.Journal == nil || r.o.DryRun {
		return nil
	}
	return r.d.Journal.SaveRestore(ctx, r.key, Bookmark{})
}

// choose selects the packs, after the open runs of their rules have ended.
func (r *restoring) choose(ctx context.Context) ([]catalogue.Item, error) {
	items, err := r.d.Packs.Select(ctx, r.o.Query, r.want.Values())
	if err != nil {
		return nil, err
	}
	if r.d.Runs != nil && !r.o.DryRun && len(items) > 0 {
		type ruleNS struct{ rule, ns string }
		done := map[ruleNS]bool{}
		for _, it := range items {
			at := ruleNS{it.Header.Rule, it.Header.NS}
			if done[at] {
				continue
			}
			done[at] = true
			if err := r.d.Runs.Finish(ctx, at.rule, at.ns); err != nil {
				return nil, err
			}
		}
		if items, err = r.d.Packs.Select(ctx, r.o.Query, r.want.Values()); err != nil {
			return nil, err
		}
	}
	if err := r.oneSource(items); err != nil {
		return nil, err
	}
	if r.o.Thaw {
		return items, r.d.Packs.Thaw(ctx, items, thawDays, "")
	}
	return items, nil
}

// thawDays is for how long a thawed copy stays.
const thawDays = 3

// oneSource refuses to pour several collections into one.
func (r *restoring) oneSource(items []catalogue.Item) error {
	if _, whole := flow.ParseNamespace(r.o.Into); !whole || len(items) == 0 {
		return nil
	}
	if first, last := items[0].Header.NS, items[len(items)-1].Header.NS; first != last {
		return &flow.Error{
			Op: "restore into", Object: r.o.Into, Class: flow.Config, Err: fmt.Errorf("the documents are of several collections (%s, %s)", first, last),
			Hint: "Name the namespace that they are of, or only a database to restore into.",
		}
	}
	return nil
}

// resume loads the bookmark. One of a time when there were other packs counts for
// nothing: what came since might be newer than what is done.
func (r *restoring) resume(ctx context.Context, items []catalogue.Item) (err error) {
	r.key, r.list = r.o.key(r.d.Packs.Name()), listOf(items)
	if r.d.Journal == nil || r.o.DryRun {
		return nil
	}
	if r.from, err = r.d.Journal.LoadRestore(ctx, r.key); err != nil {
		return err
	}
	if r.from.List != r.list {
		r.from = Bookmark{}
	}
	r.report.Resumed, r.report.Skipped = r.from.Pack != "", r.from.Found
	return nil
}

// listOf is a hash of the ids of the packs.
func listOf(items []catalogue.Item) string {
	h := sha256.New()
	for _, it := range items {
		_, _ = h.Write([]byte(it.Header.ID + "\n")) // never fails
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// enter makes the target of a namespace ready. it is the newest of its packs.
func (r *restoring) enter(ctx context.Context, it catalogue.Item) (err error) {
	if r.target, err = r.o.target(it.Header.NS); err != nil || r.o.DryRun {
		return err
	}
	h, err := r.d.Packs.Describe(ctx, it)
	if err != nil {
		return err
	}
	options, err := document(h.Options)
	if err != nil {
		return badHeader(it, err)
	}
	var indexes []bson.Raw
	for _, text := range h.Indexes {
		index, err := document(text)
		if err != nil {
			return badHeader(it, err)
		}
		indexes = append(indexes, index)
	}
	left, err := r.d.Live.EnsureCollection(ctx, r.target, options, indexes)
	r.report.Left = append(r.report.Left, left...)
	return err
}

// document reads Extended JSON; nothing gives nil.
func document(text json.RawMessage) (bson.Raw, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var doc bson.Raw
	err := bson.UnmarshalExtJSON(text, true, &doc)
	return doc, err
}

func badHeader(it catalogue.Item, err error) error {
	return &flow.Error{Op: "read manifest", Object: it.Manifest, Class: flow.Fatal, Err: fmt.Errorf("the description of the collection: %w", err)}
}

// pack restores the newest versions that are in one pack. full says that the
// limit is reached.
func (r *restoring) pack(ctx context.Context, it *catalogue.Item, seen *catalogue.IDSet) (full bool, err error) {
	o, err := r.d.Packs.Open(ctx, *it)
	if err != nil {
		return false, err
	}
	some := o.Newest(r.want, seen, func(i int) bool { return r.o.eligible(o.Of(i), o.Pending()) })
	if some = r.skip(it.Header.ID, some); len(some) == 0 {
		return false, nil
	}
	// The few of many would hold the memory of all.
	sparse := 2*len(some) < some[len(some)-1]-some[0]+1
	r.report.Packs++
	for d, err := range o.Docs(ctx, some) {
		if err != nil {
			return false, err
		}
		if !r.want.Match(d.Doc) {
			continue
		}
		if sparse {
			d.Doc = bytes.Clone(d.Doc)
		}
		if len(r.batch) > 0 && (len(r.batch) >= r.o.BatchDocs || r.bytes+len(d.Doc) > r.o.BatchBytes) {
			if err := r.flush(ctx, it.Header.ID, d.Entry); err != nil {
				return false, err
			}
		}
		r.batch = append(r.batch, guest{cold.Homecoming{ID: o.Manifest.Entries[d.Entry].ID, Doc: d.Doc}, it, d.Entry})
		r.bytes += len(d.Doc)
		r.report.Found++
		r.report.Bytes += int64(len(d.Doc))
		if r.o.Limit > 0 && r.report.Found+r.report.Skipped >= r.o.Limit {
			return true, nil
		}
	}
	return false, nil
}

// skip leaves out what an earlier run has done.
func (r *restoring) skip(pack string, some []int) []int {
	if r.from.Pack == "" {
		return some
	}
	if pack != r.from.Pack {
		return nil
	}
	at, _ := slices.BinarySearch(some, r.from.Entry)
	r.from = Bookmark{}
	return some[at:]
}

// tally counts what became of a document.
func (r *restoring) tally(g guest, x cold.Return) {
	r.report.count(x.Returned)
	if !troubled(x.Returned) {
		return
	}
	t := Trouble{NS: r.target.String(), ID: idText(g.ID), Returned: x.Returned, Index: x.Index, Pack: g.header.Header.ID, Entry: g.entry}
	switch {
	case x.Err != nil:
		t.Reason = x.Err.Error()
	case x.Returned == cold.Conflicting:
		t.Reason = "another document with this key is live"
	}
	if len(r.report.Troubles) < r.o.Troubles {
		r.report.Troubles = append(r.report.Troubles, t)
	}
	if r.o.Trouble != nil {
		r.o.Trouble(t)
	}
}
