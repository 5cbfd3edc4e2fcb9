package mongo

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// positionFormat is the format of a position that is written, unless it holds
// what older programs can't read.
const positionFormat = 1

// newestFormat is the newest format of a position that this program reads; see
// relatedFormat.
const newestFormat = relatedFormat

// position is what a flow.Position holds: where the stream stands, and for
// each namespace its generation and what is left to copy (rules S6, S12).
type position struct {
	Format int        `json:"format"`
	Stream streamMark `json:"stream"`
	// Given: nobody was there yet; see PositionAt.
	Given bool `json:"given,omitempty"`
	// Namespaces holds every collection that the flow knows, by "db.coll".
	Namespaces map[string]nsState `json:"namespaces,omitempty"`
	// Lost counts how often history was lost since everything was copied.
	Lost int `json:"lost,omitempty"`
	// Related holds what has still to be written again for changes that are passed.
	Related []relatedState `json:"related,omitempty"`
}

// streamMark is a mark with the fingerprint of the stream that it comes from.
type streamMark struct {
	Token       []byte    `json:"token,omitempty"`
	Time        timestamp `json:"time"`
	Invalidate  bool      `json:"invalidate,omitempty"`
	Fingerprint string    `json:"fingerprint"`
}

// nsState is what is known of one namespace. Without Copy it is copied whole.
type nsState struct {
	UUID string     `json:"uuid,omitempty"`
	Copy *copyState `json:"copy,omitempty"`
	// Still: its changes are not followed, so they have to be made good for when
	// they are again.
	Still bool `json:"still,omitempty"`
}

// copyState is a copy under way: the chunks that are cut and not final, and
// where the next one will be cut. All else below Next is final.
type copyState struct {
	Ghosts bool         `json:"ghosts,omitempty"`
	Next   value        `json:"next,omitempty"`
	End    value        `json:"end,omitempty"`
	Begun  bool         `json:"begun,omitempty"`
	Cut    bool         `json:"cut,omitempty"`
	Chunks []chunkState `json:"chunks,omitempty"`
	// For estimates only: documents as the server guessed them, of all chunks cut,
	// of those settled as a whole; documents and bytes that were settled.
	Estimated int64 `json:"estimated,omitempty"`
	CutDocs   int64 `json:"cut_docs,omitempty"`
	DoneDocs  int64 `json:"done_docs,omitempty"`
	Settled   int64 `json:"settled,omitempty"`
	Bytes     int64 `json:"bytes,omitempty"`
}

// chunkState is one chunk: from Min (inclusive) or the start, to Max
// (exclusive), copied up to Last; or copied whole, with Pass, the time that the
// stream has to pass before that is final.
type chunkState struct {
	Min  value      `json:"min,omitempty"`
	Max  value      `json:"max,omitempty"`
	Last value      `json:"last,omitempty"`
	Tail bool       `json:"tail,omitempty"`
	Pass *timestamp `json:"pass,omitempty"`
	// Docs and Settled are for estimates: documents at the cut, and settled.
	Docs    int64 `json:"docs,omitempty"`
	Settled int64 `json:"settled,omitempty"`
}

// value is a BSON value: its type, then its bytes; nil is no value.
type value []byte

func valueOf(v *bson.RawValue) value {
	if v == nil {
		return nil
	}
	return append(value{byte(v.Type)}, v.Value...)
}

func (v value) raw() (*bson.RawValue, error) {
	if len(v) == 0 {
		return nil, nil
	}
	r := bson.RawValue{Type: bson.Type(v[0]), Value: v[1:]}
	if valueLen(r.Type, r.Value) != len(r.Value) {
		return nil, fmt.Errorf("a bound of type %s is cut off", r.Type)
	}
	return &r, nil
}

// timestamp is a cluster time, written as "seconds.increment".
type timestamp bson.Timestamp

// MarshalText writes t as "seconds.increment".
func (t timestamp) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d.%d", t.T, t.I), nil
}

// UnmarshalText is the inverse of MarshalText.
func (t *timestamp) UnmarshalText(text []byte) error {
	sec, inc, _ := strings.Cut(string(text), ".")
	s, err := strconv.ParseUint(sec, 10, 32)
	if err != nil {
		return err
	}
	i, err := strconv.ParseUint(inc, 10, 32)
	if err != nil {
		return err
	}
	*t = timestamp{T: uint32(s), I: uint32(i)}
	return nil
}

// parsePosition is the inverse of encode; "" gives nil.
func parsePosition(p flow.Position) (*position, error) {
	if p == "" {
		return nil, nil
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal([]byte(p), &head); err != nil {
		return nil, badPosition(err)
	}
	if head.Format > newestFormat {
		return nil, &flow.Error{
			Op: "read the saved position", Class: flow.Fatal,
			Err:  fmt.Errorf("format %d, written by a newer sluice; this program knows up to %d", head.Format, newestFormat),
			Hint: "run the newer sluice again; or give this one another state, which copies everything again",
		}
	}
	var pos position
	if err := json.Unmarshal([]byte(p), &pos); err != nil {
		return nil, badPosition(err)
	}
	if _, err := pos.Stream.mark(); err != nil {
		return nil, badPosition(err)
	}
	return &pos, nil
}

func badPosition(err error) error {
	return &flow.Error{
		Op: "read the saved position", Class: flow.Fatal, Err: err,
		Hint: "restore the state from a backup; or remove it, which copies everything again",
	}
}

func (p *position) encode() flow.Position {
	b, err := json.Marshal(p)
	if err != nil { // strings, numbers and bytes only: it can't fail
		return ""
	}
	return flow.Position(b)
}

func (m mark) state(fingerprint string) streamMark {
	return streamMark{Token: m.token, Time: timestamp(m.time), Invalidate: m.invalidate, Fingerprint: fingerprint}
}

// mark is the inverse of state.
func (s streamMark) mark() (mark, error) {
	if len(s.Token) == 0 {
		if s.Time == (timestamp{}) {
			return mark{}, fmt.Errorf("it has neither token nor time")
		}
		t := bson.Timestamp(s.Time)
		return mark{time: t, passed: before(t)}, nil
	}
	if err := bson.Raw(s.Token).Validate(); err != nil {
		return mark{}, fmt.Errorf("its token: %w", err)
	}
	m, ok := markAt(s.Token)
	if !ok {
		return mark{}, fmt.Errorf("its token is no resume token")
	}
	m.invalidate = s.Invalidate
	return m, nil
}

// fit returns where a stream with another fingerprint starts: at m's time,
// inclusive, since the token's event may be hidden from it (rule S6).
func (s streamMark) fit(m mark, fingerprint string) mark {
	if s.Fingerprint == fingerprint || m.token == nil {
		return m
	}
	return mark{time: m.time, passed: before(m.time)}
}

func uuidText(b []byte) string { return hex.EncodeToString(b) }
