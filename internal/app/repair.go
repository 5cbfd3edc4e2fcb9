package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/deadletter"
	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/transcode"
)

// retryAtOnce is how many letters one retry takes; who has more asks again.
const retryAtOnce = 500

// DeadLetterRetry is what became of dead letters that were tried again.
type DeadLetterRetry struct {
	// Tried counts letters. Closed of them are settled: the document was written
	// as it is now, or it is gone from MongoDB (Missing of them) and from the index.
	Tried   int `json:"tried"`
	Closed  int `json:"closed"`
	Missing int `json:"missing"`
	// Open counts, by reason, those that could not be written this time either.
	Open map[string]int `json:"open,omitempty"`
	// NotFollowed counts letters of collections that the flow no longer follows:
	// they were not tried.
	NotFollowed int `json:"not_followed,omitempty"`
	// More: there are more letters that were written until Before.
	More   bool      `json:"more,omitempty"`
	Before time.Time `json:"before"`
}

// Add adds what another part of the same retry brought.
func (r *DeadLetterRetry) Add(more DeadLetterRetry) {
	r.Tried += more.Tried
	r.Closed += more.Closed
	r.Missing += more.Missing
	r.NotFollowed, r.More, r.Before = more.NotFollowed, more.More, more.Before
	for reason, n := range more.Open {
		if r.Open == nil {
			r.Open = map[string]int{}
		}
		r.Open[reason] += n
	}
}

// DeadLetterDrop is how many dead letters were taken away.
type DeadLetterDrop struct {
	Dropped int `json:"dropped"`
}

// Resynced is what a resync did. Without keys it has started a copy, which
// /status shows; with keys all is done.
type Resynced struct {
	Namespace string `json:"namespace"`
	Started   bool   `json:"started,omitempty"`
	Written   int    `json:"written,omitempty"`
	Missing   int    `json:"missing,omitempty"`
	// DeadLetters counts, by reason, documents that could not be written.
	DeadLetters map[string]int `json:"dead_letters,omitempty"`
}

// list returns the chosen letters of f.
func (f *flowRun) list(ctx context.Context, filter LetterFilter) (DeadLetterList, error) {
	out := DeadLetterList{Letters: []DeadLetter{}}
	match, err := filter.match()
	if err != nil {
		return out, err
	}
	newest := func(a, b DeadLetter) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Key, b.Key))
	}
	err = f.letters.Letters(ctx, func(l deadletter.Letter) error {
		if !match(&l) {
			return nil
		}
		out.Total++
		if !filter.Errors {
			l.Error = ""
		}
		told, err := tellLetter(&l)
		if err != nil {
			return err
		}
		out.Letters = append(out.Letters, told)
		if n := filter.Limit; n > 0 && len(out.Letters) > 2*n { // not all of many at one time
			slices.SortFunc(out.Letters, newest)
			out.Letters = out.Letters[:n]
		}
		return nil
	})
	slices.SortFunc(out.Letters, newest)
	if n := filter.Limit; n > 0 && len(out.Letters) > n {
		out.Letters = out.Letters[:n]
	}
	return out, err
}

// drop takes the chosen letters away; all says that a choice of all is meant.
func (f *flowRun) drop(ctx context.Context, filter LetterFilter, all bool) (DeadLetterDrop, error) {
	if !filter.any() && !all {
		return DeadLetterDrop{}, &flow.Error{
			Op: "drop dead letters", Class: flow.Config, Err: errors.New("nothing is chosen"),
			Hint: "choose by namespace, reason or key, or say that all are meant (--all, all=true)",
		}
	}
	match, err := filter.match()
	if err != nil {
		return DeadLetterDrop{}, err
	}
	var keys []deadletter.Key
	err = f.letters.Letters(ctx, func(l deadletter.Letter) error {
		if match(&l) {
			keys = append(keys, l.Key)
		}
		return nil
	})
	if err != nil {
		return DeadLetterDrop{}, err
	}
	return DeadLetterDrop{Dropped: len(keys)}, f.letters.Close(ctx, keys)
}

// writer brings batches of a repair to their verdicts; nil: the pump does.
type writer func(ctx context.Context, b flow.Batch) error

// retry reads the documents of chosen letters as they are now and writes them,
// the oldest letters first (rules S7, S13). What fails again is a letter anew,
// with a time after Before.
func (f *flowRun) retry(ctx context.Context, filter LetterFilter, write writer) (DeadLetterRetry, error) {
	if filter.Before.IsZero() {
		filter.Before = time.Now().UTC()
	}
	out := DeadLetterRetry{Before: filter.Before}
	match, err := filter.match()
	if err != nil {
		return out, err
	}
	var chosen []deadletter.Letter
	err = f.letters.Letters(ctx, func(l deadletter.Letter) error {
		switch {
		case !match(&l):
		case !f.source.Follows(l.NS):
			out.NotFollowed++
		default:
			l.Error = ""
			chosen = append(chosen, l)
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	slices.SortFunc(chosen, func(a, b deadletter.Letter) int { return a.At.Compare(b.At) })
	if len(chosen) > retryAtOnce {
		chosen, out.More = chosen[:retryAtOnce], true
	}
	byNS := map[flow.Namespace][]deadletter.Letter{}
	for _, l := range chosen {
		byNS[l.NS] = append(byNS[l.NS], l)
	}
	for ns, letters := range byNS {
		if err := f.retryIn(ctx, ns, letters, write, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// retryIn tries the letters of one namespace again.
func (f *flowRun) retryIn(ctx context.Context, ns flow.Namespace, letters []deadletter.Letter, write writer, out *DeadLetterRetry) error {
	ids := make([]bson.RawValue, len(letters))
	keys := make([]deadletter.Key, len(letters))
	for i := range letters {
		id, err := letters[i].DocumentID()
		if err != nil {
			return &flow.Error{Op: "read a dead letter of", Object: ns.String(), Class: flow.Fatal, Err: err}
		}
		ids[i], keys[i] = id, letters[i].Key
	}
	done, err := f.repair(ctx, ns, ids, write)
	if err != nil {
		return err
	}
	open, err := f.stillOpen(ctx, keys)
	if err != nil {
		return err
	}
	part := DeadLetterRetry{Tried: len(keys), Closed: len(keys), Missing: done.Missing, Open: open, NotFollowed: out.NotFollowed, More: out.More, Before: out.Before}
	for _, n := range open {
		part.Closed -= n
	}
	out.Add(part)
	return nil
}

// repair is a snapshot of some keys (rule S13).
func (f *flowRun) repair(ctx context.Context, ns flow.Namespace, ids []bson.RawValue, write writer) (mongo.Repaired, error) {
	done, err := f.source.Repair(ctx, ns, ids, mongo.RepairOptions{Archived: f.archived, Leave: f.leavesGhosts(ns), Write: write})
	if errors.Is(err, context.DeadlineExceeded) {
		err = &flow.Error{
			Op: "wait for what was read again of", Object: ns.String(), Class: flow.Transient, Err: err,
			Hint: "the search engine does not take it yet; what was read is written when it does (sluice status tells more)",
		}
	}
	return done, err
}

// stillOpen counts by reason those of keys that have an open letter.
func (f *flowRun) stillOpen(ctx context.Context, keys []deadletter.Key) (map[string]int, error) {
	open := map[deadletter.Key]bool{}
	for _, k := range keys {
		if f.letters.Has(k) {
			open[k] = true
		}
	}
	if len(open) == 0 {
		return nil, nil
	}
	reasons := map[string]int{}
	err := f.letters.Letters(ctx, func(l deadletter.Letter) error {
		if open[l.Key] {
			reasons[l.Reason]++
		}
		return nil
	})
	return reasons, err
}

// resyncKeys reads some documents of a namespace again and writes them.
func (f *flowRun) resyncKeys(ctx context.Context, ns flow.Namespace, texts []string, write writer) (Resynced, error) {
	out := Resynced{Namespace: ns.String()}
	ids, err := parseKeys(texts)
	if err != nil {
		return out, err
	}
	done, err := f.repair(ctx, ns, ids, write)
	if err != nil {
		return out, err
	}
	out.Written, out.Missing = done.Written, done.Missing
	keys := make([]deadletter.Key, len(ids))
	for i, id := range ids {
		keys[i] = deadletter.Key{NS: ns, ID: string(transcode.AppendID(nil, id))}
	}
	if out.DeadLetters, err = f.stillOpen(ctx, keys); err != nil {
		return out, err
	}
	for _, n := range out.DeadLetters {
		out.Written -= n
	}
	out.Written = max(0, out.Written)
	return out, nil
}

// Text returns the result for people.
func (r DeadLetterRetry) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d dead letters tried again: %d closed (%d of documents that are gone)", r.Tried, r.Closed, r.Missing)
	for _, line := range reasonLines(r.Open) {
		b.WriteString("\n  still open: " + line)
	}
	if r.NotFollowed > 0 {
		fmt.Fprintf(&b, "\n  %d of collections that the flow no longer follows were not tried: sluice deadletter drop forgets them", r.NotFollowed)
	}
	if r.More {
		b.WriteString("\n  there are more, which were not tried: mend what is wrong first, or choose by --reason, --namespace or --key")
	}
	return b.String()
}

// Text returns the result for people.
func (r Resynced) Text() string {
	if r.Started {
		return r.Namespace + ": the copy has started; sluice status shows how far it is"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d written, %d not in MongoDB", r.Namespace, r.Written, r.Missing)
	for _, line := range reasonLines(r.DeadLetters) {
		b.WriteString("\n  dead letters: " + line)
	}
	return b.String()
}

// reasonLines tells counts by reason, sorted.
func reasonLines(counts map[string]int) []string {
	var out []string
	for reason, n := range counts {
		out = append(out, fmt.Sprintf("%d for %s", n, reason))
	}
	slices.Sort(out)
	return out
}
