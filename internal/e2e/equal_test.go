//go:build integration

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/testkit"
	"sluice/internal/transcode"
)

// wantEqual waits until every document of coll is in index with the same
// content and nothing else is, and fails with the differences otherwise.
func wantEqual(t *testing.T, coll *mongo.Collection, url, index string, timeout time.Duration) {
	t.Helper()
	testkit.Eventually(t, timeout, func() error { return equal(t.Context(), coll, url, index) })
}

// equal compares a collection with an index, document by document.
func equal(ctx context.Context, coll *mongo.Collection, url, index string) error {
	want, err := collectionDocs(ctx, coll)
	if err != nil {
		return err
	}
	have, err := indexDocs(ctx, url, index)
	if err != nil {
		return err
	}
	var diffs []string
	for id, doc := range want {
		got, ok := have[id]
		switch {
		case !ok:
			diffs = append(diffs, "missing: "+id)
		case !reflect.DeepEqual(doc, got):
			diffs = append(diffs, fmt.Sprintf("differs: %s: MongoDB %v, index %v", id, doc, got))
		}
	}
	for id := range have {
		if _, ok := want[id]; !ok {
			diffs = append(diffs, "ghost: "+id)
		}
	}
	if len(diffs) == 0 {
		return nil
	}
	return fmt.Errorf("%d differences of %d documents in MongoDB, %d in the index: %v", len(diffs), len(want), len(have), diffs[:min(5, len(diffs))])
}

// collectionDocs renders every document of coll as the index should hold it.
func collectionDocs(ctx context.Context, coll *mongo.Collection) (map[string]any, error) {
	plan, err := transcode.Compile(transcode.Options{}, transcode.Fields{})
	if err != nil {
		return nil, err
	}
	cur, err := coll.Find(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = cur.Close(ctx) }()
	docs := map[string]any{}
	for cur.Next(ctx) {
		var st transcode.Stats
		text, err := plan.Append(nil, cur.Current, &st)
		if err != nil {
			return nil, err
		}
		v, err := decode(text)
		if err != nil {
			return nil, err
		}
		docs[string(transcode.AppendID(nil, cur.Current.Lookup("_id")))] = v
	}
	return docs, cur.Err()
}

func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// indexDocs reads a whole index by scroll.
func indexDocs(ctx context.Context, url, index string) (map[string]any, error) {
	if err := call(ctx, http.MethodPost, url+"/"+index+"/_refresh", "", nil); err != nil {
		return nil, err
	}
	type page struct {
		ScrollID string `json:"_scroll_id"`
		Hits     struct {
			Hits []struct {
				ID     string          `json:"_id"`
				Source json.RawMessage `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	docs := map[string]any{}
	var p page
	err := call(ctx, http.MethodPost, url+"/"+index+"/_search?scroll=1m", `{"size":5000,"sort":["_doc"]}`, &p)
	for err == nil && len(p.Hits.Hits) > 0 {
		for _, h := range p.Hits.Hits {
			v, derr := decode(h.Source)
			if derr != nil {
				return nil, derr
			}
			docs[h.ID] = v
		}
		id := p.ScrollID
		p = page{}
		err = call(ctx, http.MethodPost, url+"/_search/scroll", fmt.Sprintf(`{"scroll":"1m","scroll_id":%q}`, id), &p)
	}
	if err == nil && p.ScrollID != "" {
		err = call(ctx, http.MethodDelete, url+"/_search/scroll", fmt.Sprintf(`{"scroll_id":%q}`, p.ScrollID), nil)
	}
	return docs, err
}

// call sends a JSON request and decodes a JSON answer into into, if not nil.
func call(ctx context.Context, method, url, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		var b bytes.Buffer
		_, _ = b.ReadFrom(resp.Body)
		return fmt.Errorf("%s %s: %s: %.300s", method, url, resp.Status, b.String())
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
