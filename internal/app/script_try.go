package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/config"
	"sluice/internal/flow"
)

// ScriptTry is a script to be run over sample documents, without any server.
type ScriptTry struct {
	// Path is how messages call the script, Code the script itself.
	Path, Code string
	// Kind, Mode and Timeout are those of flows[].scripts.
	Kind, Mode string
	Timeout    time.Duration
	// Namespace is what the script is told, "db.collection".
	Namespace string
	// Samples are documents as Extended JSON: one, several one after the other, or an array.
	Samples []byte
	// Logger takes what the script says on its console.
	Logger *slog.Logger
}

// ScriptTried is what a script made of one sample.
type ScriptTried struct {
	// Result is "write", "leave" (it does not belong into the index), "skip" (nothing is
	// done) or "error".
	Result string `json:"result"`
	// Changed: Document is not the sample as it was.
	Changed bool `json:"changed,omitempty"`
	// Document is what would be indexed, as Extended JSON, before the rules of fields.
	Document json.RawMessage `json:"document,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// TryScript runs a script over each of its samples. The error, of class Config, says
// that script or samples can't be read.
func TryScript(ctx context.Context, t ScriptTry) ([]ScriptTried, error) {
	bad := func(object string, err error) error {
		return &flow.Error{Op: "try script", Object: object, Class: flow.Config, Err: err}
	}
	ns, ok := flow.ParseNamespace(t.Namespace)
	if !ok {
		return nil, bad(t.Namespace, errors.New("a namespace is written db.collection"))
	}
	docs, err := samplesIn(t.Samples)
	if err != nil {
		return nil, bad("the samples", err)
	}
	one := config.Script{Path: t.Path, Kind: config.ScriptKind(t.Kind), Mode: config.ScriptMode(t.Mode), Timeout: t.Timeout}
	stage, err := scriptsOf(&config.Flow{Scripts: []config.Script{one.With(t.Code)}}, nil, t.Logger, nil)
	if err != nil {
		var e *flow.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, bad("", err)
	}
	out := make([]ScriptTried, len(docs))
	for i, doc := range docs {
		id, _ := doc.LookupErr("_id")
		b := flow.Batch{Changes: []flow.Change{{Op: flow.OpWrite, NS: ns, ID: id, Doc: doc}}}
		if b, err = stage.Apply(ctx, b); err != nil {
			return nil, err
		}
		if out[i], err = tried(&b.Changes[0], doc); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tried tells what became of a sample.
func tried(c *flow.Change, was bson.Raw) (ScriptTried, error) {
	var e *flow.Error
	switch {
	case c.Fault != nil && errors.As(c.Fault.Err, &e):
		return ScriptTried{Result: "error", Error: e.Err.Error()}, nil
	case c.Op == flow.OpDelete:
		return ScriptTried{Result: "leave"}, nil
	case c.Op == flow.OpSkip:
		return ScriptTried{Result: "skip"}, nil
	}
	text, err := bson.MarshalExtJSON(c.Doc, false, false)
	return ScriptTried{Result: "write", Changed: !bytes.Equal(c.Doc, was), Document: text}, err
}

// samplesIn reads documents in Extended JSON.
func samplesIn(text []byte) ([]bson.Raw, error) {
	var docs []bson.Raw
	add := func(one json.RawMessage) error {
		var d bson.D
		if err := bson.UnmarshalExtJSON(one, false, &d); err != nil {
			return fmt.Errorf("sample %d: %s", len(docs)+1, strings.TrimPrefix(err.Error(), "error decoding key "))
		}
		raw, err := bson.Marshal(d)
		docs = append(docs, raw)
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	for {
		var one json.RawMessage
		err := dec.Decode(&one)
		switch {
		case errors.Is(err, io.EOF) && len(docs) == 0:
			return nil, errors.New("there is no document in it")
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			line := 1 + bytes.Count(text[:min(int(dec.InputOffset()), len(text))], []byte("\n"))
			return nil, fmt.Errorf("no JSON in line %d, or after it: %w", line, err)
		}
		all := []json.RawMessage{one}
		if one[0] == '[' {
			if err := json.Unmarshal(one, &all); err != nil {
				return nil, err
			}
		}
		for _, one := range all {
			if err := add(one); err != nil {
				return nil, err
			}
		}
	}
}
