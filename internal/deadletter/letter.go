package deadletter

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/transcode"
)

// MaxErrorBytes is how much of the engine's error text a letter keeps.
const MaxErrorBytes = 2 << 10

// Key names the document that a letter is about.
type Key struct {
	NS flow.Namespace
	// ID is the text of _id as the index has it (rule S10).
	ID string
}

// KeyOf returns the key of a change.
func KeyOf(c *flow.Change) Key {
	return Key{NS: c.NS, ID: string(transcode.AppendID(nil, c.ID))}
}

// reach is the version up to which a change speaks for its key: a document of a
// snapshot or a repair was read with all events of its time in it, although its
// own version lies just below theirs (rule S4).
func reach(c *flow.Change) int64 {
	if v, err := flow.VersionOf(c.Time); err == nil && v == c.Version+1 {
		return v
	}
	return c.Version
}

// String returns namespace and id for people to read.
func (k Key) String() string { return k.NS.String() + "/" + k.ID }

// Hash returns 64 hex digits that stand for this key alone, for stores that
// need a name of bounded length.
func (k Key) Hash() string {
	h := sha256.New()
	for _, s := range []string{k.NS.DB, k.NS.Coll, k.ID} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Letter is one dead letter. It owns its strings.
type Letter struct {
	Key
	// RawID is _id as canonical extended JSON: {"_id": …}.
	RawID string
	// Op is what was to be done.
	Op string
	// Version and Time are those of the change; what was read at Time has the
	// version of that time.
	Version int64
	Time    bson.Timestamp
	// Reason is the short stable word of the verdict.
	Reason string
	// Error is the engine's text, at most MaxErrorBytes. It may quote values of
	// the document.
	Error string
	// At is when the letter was written, by our clock.
	At time.Time
}

// New returns the letter of a change and its verdict; nothing of it points
// into the change.
func New(c *flow.Change, v flow.Verdict, at time.Time) (Letter, error) {
	id, err := bson.MarshalExtJSON(bson.D{{Key: "_id", Value: c.ID}}, true, false)
	if err != nil {
		return Letter{}, fmt.Errorf("extended JSON of the _id: %w", err)
	}
	l := Letter{
		Key: KeyOf(c), RawID: string(id), Op: c.Op.String(), Version: reach(c),
		Time: c.Time, Reason: v.Reason, At: at.UTC(),
	}
	if v.Err != nil {
		l.Error = cut(v.Err.Error(), MaxErrorBytes)
	}
	return l, nil
}

// cut returns at most n bytes of s, whole characters of valid UTF-8 only.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// DocumentID returns _id, for a re-read.
func (l *Letter) DocumentID() (bson.RawValue, error) {
	var d struct {
		ID bson.RawValue `bson:"_id"`
	}
	if err := bson.UnmarshalExtJSON([]byte(l.RawID), true, &d); err != nil {
		return bson.RawValue{}, fmt.Errorf("_id of dead letter %s: %w", l.Key, err)
	}
	return d.ID, nil
}

// letterJSON is the form of a letter outside.
type letterJSON struct {
	DB      string    `json:"db"`
	Coll    string    `json:"coll"`
	ID      string    `json:"id"`
	RawID   string    `json:"raw_id"`
	Op      string    `json:"op"`
	Version int64     `json:"version"`
	Time    [2]uint32 `json:"cluster_time"`
	Reason  string    `json:"reason"`
	Error   string    `json:"error,omitempty"`
	At      time.Time `json:"at"`
}

// MarshalJSON gives the form in which stores keep a letter.
func (l Letter) MarshalJSON() ([]byte, error) {
	return json.Marshal(letterJSON{
		DB: l.NS.DB, Coll: l.NS.Coll, ID: l.ID, RawID: l.RawID, Op: l.Op, Version: l.Version,
		Time: [2]uint32{l.Time.T, l.Time.I}, Reason: l.Reason, Error: l.Error, At: l.At,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Letter) UnmarshalJSON(b []byte) error {
	var j letterJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*l = Letter{
		Key:   Key{NS: flow.Namespace{DB: j.DB, Coll: j.Coll}, ID: j.ID},
		RawID: j.RawID, Op: j.Op, Version: j.Version, Time: bson.Timestamp{T: j.Time[0], I: j.Time[1]},
		Reason: j.Reason, Error: j.Error, At: j.At,
	}
	return nil
}
