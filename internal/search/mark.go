package search

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"sluice/internal/flow"
)

// markedPage is how many documents are fetched at one time to be marked.
const markedPage = 100

// marked is a document of the index that is to be marked as deleted.
type marked struct {
	source []byte
	// verdict, if it has an outcome, settles the change instead.
	verdict flow.Verdict
}

// fetchMarked reads what the index holds for the deletes that leave a mark.
// What is absent gets a plain delete, so that its version stays.
func (w *writer) fetchMarked(ctx context.Context) error {
	var todo []int
	for i := range w.changes {
		c := &w.changes[i]
		if c.Op != flow.OpDelete || c.ID.IsZero() {
			continue
		}
		t, err := w.target(ctx, c.NS)
		if err != nil {
			return err
		}
		if f := t.route.fate(c); c.Doc == nil && (f == fateMarkDeleted || f == fateMarkArchived) {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		n := min(len(todo), markedPage)
		if err := w.fetchPage(ctx, todo[:n]); err != nil {
			return err
		}
		todo = todo[n:]
	}
	return nil
}

// fetchPage reads some documents, in halves if they are too large together.
func (w *writer) fetchPage(ctx context.Context, page []int) error {
	body := []byte(`{"docs":[`)
	for k, i := range page {
		c := &w.changes[i]
		t, err := w.target(ctx, c.NS)
		if err != nil {
			return err
		}
		if k > 0 {
			body = append(body, ',')
		}
		body = append(append(body, `{"_index":`...), '"')
		body = append(append(body, t.concrete...), `","_id":`...)
		if w.id, err = w.sink.scheme.appendID(w.id[:0], c.ID); err != nil {
			w.id = append(w.id[:0], '_') // a dead letter, soon
		}
		body = appendQuoted(body, w.id)
		if t.route.Content != "" { // it may be larger than any answer, and the text that was read out of it stays
			body = append(append(append(body, `,"_source":{"excludes":["`...), t.route.Content...), `"]}`...)
		}
		body = append(body, '}')
	}
	body = append(body, `]}`...)
	var out struct {
		Docs []struct {
			Found  bool            `json:"found"`
			Source json.RawMessage `json:"_source"`
			Error  *errorBody      `json:"error"`
		} `json:"docs"`
	}
	err := w.sink.client.call(ctx, "fetch documents to mark", "", post("/_mget?realtime=true", body), &out)
	if errors.Is(err, errAnswerTooLarge) && len(page) > 1 {
		if err := w.fetchPage(ctx, page[:len(page)/2]); err != nil {
			return err
		}
		return w.fetchPage(ctx, page[len(page)/2:])
	}
	if err != nil {
		return err
	}
	if len(out.Docs) != len(page) {
		return &flow.Error{Op: "fetch documents to mark", Class: flow.Transient, Err: errTorn}
	}
	if w.marked == nil {
		w.marked = make(map[int]marked, len(page))
	}
	for k, d := range out.Docs {
		i := page[k]
		name := w.changes[i].NS.String()
		switch {
		case d.Error != nil:
			v := w.sink.judge(d.Error.apiError(mgetStatus(d.Error.Type)), name)
			w.marked[i] = marked{verdict: v}
		case d.Found && len(d.Source) == 0:
			w.marked[i] = marked{verdict: flow.Verdict{Outcome: flow.Halt, Reason: reasonIndex, Err: &flow.Error{
				Op:     "mark a deleted document of",
				Object: name, Class: flow.Config, Err: errors.New("the index does not keep _source"), Hint: "use on.delete and on.archive: remove or keep",
			}}}
		case d.Found:
			w.marked[i] = marked{source: d.Source}
		}
	}
	return nil
}

// mgetStatus is the status that a bulk would have given; mget items have none.
func mgetStatus(typ string) int {
	switch typ {
	case "index_not_found_exception":
		return http.StatusNotFound
	case "index_closed_exception":
		return http.StatusBadRequest
	case "security_exception", "cluster_block_exception":
		return http.StatusForbidden
	}
	return http.StatusServiceUnavailable
}
