package archivedb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"sluice/internal/cold"
)

// way is how a document is written.
type way int

const (
	// byInsert: a plain insert keeps every byte, and is the fastest.
	byInsert way = iota
	// byUpsert: an upsert that only inserts keeps also what an insert changes.
	byUpsert
	ways
)

// wayOf chooses the way of a document: an insert would put the time in the place
// of a zero Timestamp at the top. A document that has another _id than told, or
// none, is refused.
func wayOf(h cold.Homecoming) (way, error) {
	if len(h.Doc) < 5 {
		return 0, errors.New("it is no document")
	}
	w, first := byInsert, true
	var id bson.RawValue
	for rest := []byte(h.Doc[4 : len(h.Doc)-1]); len(rest) > 0; {
		e, after, ok := bsoncore.ReadElement(rest)
		if !ok {
			return 0, errors.New("it is malformed BSON")
		}
		typ, name, value := parts(e)
		if string(name) == "_id" && id.Type == 0 {
			id = bson.RawValue{Type: typ, Value: value}
			if !first {
				w = byUpsert
			}
		}
		if typ == bson.TypeTimestamp && binary.LittleEndian.Uint64(value) == 0 {
			w = byUpsert
		}
		first, rest = false, after
	}
	if id.Type == 0 {
		return 0, errors.New("it has no _id")
	}
	if !same(id, h.ID) {
		return 0, errors.New("its _id is not the one under which it is to be restored")
	}
	return w, nil
}

// parts takes an element apart: type, name and value are views.
func parts(e bsoncore.Element) (bson.Type, []byte, []byte) {
	name, value, _ := bytes.Cut(e[1:], []byte{0})
	return bson.Type(e[0]), name, value
}

// write sends the documents of a batch and returns what the server refuses, by
// the place in the batch. In order means up to the first refusal.
func (r *homecoming) write(ctx context.Context, b batch, inOrder bool) (map[int]mongo.WriteError, error) {
	cmd := r.insertCommand(b, inOrder)
	if b.way == byUpsert {
		cmd = r.upsertCommand(b, inOrder)
	}
	err := r.coll.Database().RunCommand(ctx, cmd).Err()
	var we mongo.WriteException
	if !errors.As(err, &we) {
		return nil, err
	}
	if we.WriteConcernError != nil {
		return nil, err
	}
	refused := make(map[int]mongo.WriteError, len(we.WriteErrors))
	for _, e := range we.WriteErrors {
		refused[e.Index] = e
	}
	return refused, nil
}

// insertCommand builds a plain insert, by hand: the documents are copied once.
func (r *homecoming) insertCommand(b batch, inOrder bool) bson.Raw {
	cmd := r.command("insert", b, inOrder, b.bytes)
	cmd, list := appendDoc(cmd, bson.TypeArray, "documents")
	for n, i := range b.at {
		cmd = appendName(cmd, bson.TypeEmbeddedDocument, n)
		cmd = append(cmd, r.docs[i].Doc...)
	}
	return finish(cmd, list)
}

// upsertCommand builds upserts that only insert: no document matches them, and a
// live one with the same _id makes them fail.
func (r *homecoming) upsertCommand(b batch, inOrder bool) bson.Raw {
	cmd := r.command("update", b, inOrder, b.bytes+len(b.at)*128)
	cmd, list := appendDoc(cmd, bson.TypeArray, "updates")
	for n, i := range b.at {
		cmd = appendName(cmd, bson.TypeEmbeddedDocument, n)
		var at, inner, none, stages, stage, with int32
		at, cmd = bsoncore.ReserveLength(cmd)
		cmd, inner = appendDoc(cmd, bson.TypeEmbeddedDocument, "q")
		cmd = bsoncore.AppendValueElement(cmd, "_id", bsoncore.Value{Type: bsoncore.Type(r.docs[i].ID.Type), Data: r.docs[i].ID.Value})
		cmd, none = appendDoc(cmd, bson.TypeArray, "$nor")
		cmd = bsoncore.AppendDocumentElement(cmd, "0", []byte{5, 0, 0, 0, 0})
		cmd = end(cmd, none, inner)
		cmd, stages = appendDoc(cmd, bson.TypeArray, "u")
		cmd, stage = appendDoc(cmd, bson.TypeEmbeddedDocument, "0")
		cmd, with = appendDoc(cmd, bson.TypeEmbeddedDocument, "$replaceWith")
		cmd = bsoncore.AppendDocumentElement(cmd, "$literal", r.docs[i].Doc)
		cmd = end(cmd, with, stage, stages)
		cmd = bsoncore.AppendBooleanElement(cmd, "upsert", true)
		cmd = end(cmd, at)
	}
	return finish(cmd, list)
}

// command begins a command that writes; the place of its own length is the
// first four bytes.
func (r *homecoming) command(name string, b batch, inOrder bool, size int) []byte {
	cmd := make([]byte, 4, size+512)
	cmd = bsoncore.AppendStringElement(cmd, name, r.ns.Coll)
	cmd = bsoncore.AppendBooleanElement(cmd, "ordered", inOrder)
	cmd = bsoncore.AppendBooleanElement(cmd, "bypassDocumentValidation", true)
	if b.inside {
		return cmd
	}
	cmd, at := appendDoc(cmd, bson.TypeEmbeddedDocument, "writeConcern")
	cmd = bsoncore.AppendStringElement(cmd, "w", "majority")
	return end(cmd, at)
}

func appendDoc(b []byte, t bson.Type, name string) ([]byte, int32) {
	b = bsoncore.AppendHeader(b, bsoncore.Type(t), name)
	at, b := bsoncore.ReserveLength(b)
	return b, at
}

func appendName(b []byte, t bson.Type, n int) []byte {
	b = append(b, byte(t))
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, 0)
}

// end closes documents, the inmost first.
func end(b []byte, at ...int32) []byte {
	for _, i := range at {
		b = append(b, 0)
		binary.LittleEndian.PutUint32(b[i:], uint32(len(b)-int(i)))
	}
	return b
}

func finish(cmd []byte, list int32) bson.Raw { return end(cmd, list, 0) }

// readBack tells of documents by their numbers what is live under their keys.
func (r *homecoming) readBack(ctx context.Context, at []int) ([]live, error) {
	out := make([]live, len(at))
	id := func(n int) bson.RawValue { return r.docs[at[n]].ID }
	cur, err := r.coll.Find(ctx, bson.D{{Key: "_id", Value: anyOf(len(at), id)}}, options.Find().SetBatchSize(int32(len(at)+1)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = cur.Close(ctx) }()
	places := newPlaces(len(at), id)
	strangers := false
	for cur.Next(ctx) {
		n, ok := places.find(cur.Current.Lookup("_id"))
		if !ok {
			strangers = true
			continue
		}
		out[n] = r.compare(at[n], cur.Current)
	}
	if err := cur.Err(); err != nil {
		return nil, err
	}
	for n := range out {
		if out[n].there {
			continue
		}
		if first, _ := places.first(id(n)); first != n && out[first].there { // the same key twice
			raw := out[first].doc
			if out[first].equal {
				raw = r.docs[at[first]].Doc
			}
			out[n] = r.compare(at[n], raw)
			continue
		}
		if !strangers {
			continue
		}
		// The live one may have an equal key of another type.
		raw, err := r.coll.FindOne(ctx, byID(id(n))).Raw()
		if errors.Is(err, mongo.ErrNoDocuments) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[n] = r.compare(at[n], raw)
	}
	return out, nil
}

// compare compares with the live document, and keeps that only if it differs.
func (r *homecoming) compare(i int, doc bson.Raw) live {
	if bytes.Equal(doc, r.docs[i].Doc) {
		return live{there: true, equal: true}
	}
	return live{there: true, doc: bytes.Clone(doc)}
}

// ofDocument tells whether the server refuses a command for one of its
// documents: nested too deep, too large, or malformed.
func ofDocument(err error) bool {
	return slices.ContainsFunc([]int{2, 9, 15, 22, 52, 56, 57, 10334, 17280}, func(code int) bool { return hasCode(err, code) })
}

// indexOf takes the name of the index out of the message of a duplicate key.
func indexOf(message string) string {
	_, rest, ok := strings.Cut(message, " index: ")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, " dup key:")
	name, _, _ = strings.Cut(name, " collation:")
	return strings.TrimSpace(name)
}
