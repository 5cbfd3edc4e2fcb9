package pack

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// Outcome is what became of a pack's documents in MongoDB, once each has an
// outcome: a file beside the pack. All that are no exceptions were deleted by us.
type Outcome struct {
	// Format is that of the file.
	Format int    `json:"format"`
	Pack   string `json:"pack"`
	Run    string `json:"run,omitempty"`
	Rule   string `json:"rule,omitempty"`
	NS     string `json:"namespace,omitempty"`
	// Owner is who deleted; At is the server's time and ClusterTime the cluster
	// time when the last outcome was known.
	Owner       string         `json:"owner,omitempty"`
	At          time.Time      `json:"at,omitzero"`
	ClusterTime bson.Timestamp `json:"-"`
	// Docs is the number of documents of the pack, and the sum of the four that
	// follow.
	Docs    int `json:"docs"`
	Deleted int `json:"deleted"`
	Changed int `json:"changed"`
	Gone    int `json:"gone"`
	Unknown int `json:"unknown"`
	// Exceptions are the entries that were not deleted by us, by their numbers.
	// Pack and ID of each are not in the file: Pack is filled in, ID is in the
	// manifest.
	Exceptions []cold.Exception `json:"-"`
}

// outcomeJSON is the first line of the file.
type outcomeJSON struct {
	plainOutcome
	ClusterTime *clusterTime `json:"cluster_time,omitempty"`
}

type plainOutcome Outcome

// MarshalJSON writes all but the exceptions.
func (o Outcome) MarshalJSON() ([]byte, error) {
	return json.Marshal(outcomeJSON{plainOutcome(o), toJSON(o.ClusterTime)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Outcome) UnmarshalJSON(b []byte) error {
	j := outcomeJSON{plainOutcome: plainOutcome(*o)}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*o = Outcome(j.plainOutcome)
	o.ClusterTime = fromJSON(j.ClusterTime)
	return nil
}

// NewOutcome returns the outcome of a pack of docs documents: o with Format,
// Docs, the counts and the exceptions filled in.
func NewOutcome(o Outcome, docs int, exceptions []cold.Exception) *Outcome {
	o.Format, o.Docs, o.Exceptions = Format, docs, exceptions
	o.Changed, o.Gone, o.Unknown = 0, 0, 0
	for _, x := range exceptions {
		switch x.Outcome {
		case cold.Changed:
			o.Changed++
		case cold.Gone:
			o.Gone++
		default:
			o.Unknown++
		}
	}
	o.Deleted = docs - len(exceptions)
	return &o
}

// check fails unless the counts are those of the exceptions, which are in order.
func (o *Outcome) check() error {
	last, counts := -1, map[cold.Outcome]int{}
	for _, x := range o.Exceptions {
		if x.Entry <= last || x.Entry >= o.Docs {
			return fmt.Errorf("entry %d after entry %d, of %d", x.Entry, last, o.Docs)
		}
		switch x.Outcome {
		case cold.Changed, cold.Gone, cold.Unknown:
		default:
			return fmt.Errorf("entry %d has the outcome %q", x.Entry, x.Outcome)
		}
		last = x.Entry
		counts[x.Outcome]++
	}
	if counts[cold.Changed] != o.Changed || counts[cold.Gone] != o.Gone || counts[cold.Unknown] != o.Unknown ||
		o.Deleted != o.Docs-len(o.Exceptions) || o.Docs < 0 || o.Docs > maxDocs {
		return fmt.Errorf("%d documents, of them %d deleted, %d changed, %d gone and %d unknown, with %d exceptions",
			o.Docs, o.Deleted, o.Changed, o.Gone, o.Unknown, len(o.Exceptions))
	}
	return nil
}

// exceptionLine is a line of the file, sumLine the last one.
type exceptionLine struct {
	Entry   int          `json:"entry"`
	Outcome cold.Outcome `json:"outcome"`
}

type sumLine struct {
	SHA256 string `json:"sha256"`
}

// Encode writes the outcome as JSON lines: itself, a line for each exception in
// the order of their numbers, and the SHA-256 of these lines.
func (o *Outcome) Encode(w io.Writer) error {
	if err := o.check(); err != nil {
		return &flow.Error{Op: "write outcome", Object: o.Pack, Class: flow.Fatal, Err: err}
	}
	sum := sha256.New()
	buf := bufio.NewWriter(w)
	lines := json.NewEncoder(io.MultiWriter(buf, sum))
	err := lines.Encode(o)
	for i := 0; i < len(o.Exceptions) && err == nil; i++ {
		err = lines.Encode(exceptionLine{o.Exceptions[i].Entry, o.Exceptions[i].Outcome})
	}
	if err == nil {
		err = json.NewEncoder(buf).Encode(sumLine{hex.EncodeToString(sum.Sum(nil))})
	}
	if err == nil {
		err = buf.Flush()
	}
	if err != nil {
		return &flow.Error{Op: "write outcome", Object: o.Pack, Class: flow.ClassOf(err), Err: err}
	}
	return nil
}

// DecodeOutcome reads an outcome, to the end of r.
func DecodeOutcome(r io.Reader) (*Outcome, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), 1<<20)
	lines.Split(wholeLines)
	o, n, sum := &Outcome{}, 1, sha256.New()
	for ; lines.Scan(); n++ {
		line := lines.Bytes()
		switch {
		case n == 1:
			first, err := firstLine(line)
			if err != nil {
				return nil, err
			}
			o = first
		case bytes.HasPrefix(line, []byte(`{"sha256"`)):
			want, _ := json.Marshal(sumLine{hex.EncodeToString(sum.Sum(nil))})
			if !bytes.Equal(line, append(want, '\n')) {
				return nil, damaged(opOutcome, o.Pack, "line %d: the SHA-256 of the lines before differs", n)
			}
			if err := o.last(lines, n); err != nil {
				return nil, err
			}
			return o, nil
		default:
			if err := o.except(line); err != nil {
				return nil, damaged(opOutcome, o.Pack, "line %d: %w", n, err)
			}
		}
		sum.Write(line)
	}
	if err := lines.Err(); err != nil {
		return nil, lineError(o.Pack, n, err)
	}
	return nil, damaged(opOutcome, o.Pack, "it ends too early, before line %d", n)
}

// except adds the exception of a line.
func (o *Outcome) except(line []byte) error {
	var x exceptionLine
	if err := json.Unmarshal(line, &x); err != nil {
		return err
	}
	if len(o.Exceptions) >= o.Docs {
		return fmt.Errorf("more exceptions than the %d documents", o.Docs)
	}
	o.Exceptions = append(o.Exceptions, cold.Exception{Pack: o.Pack, Entry: x.Entry, Outcome: x.Outcome})
	return nil
}

// last fails if more follows line n, or the whole contradicts itself.
func (o *Outcome) last(lines *bufio.Scanner, n int) error {
	if lines.Scan() {
		return damaged(opOutcome, o.Pack, "more follows line %d, which is its end", n)
	}
	if err := lines.Err(); err != nil {
		return lineError(o.Pack, n+1, err)
	}
	if err := o.check(); err != nil {
		return damaged(opOutcome, o.Pack, "it contradicts itself: %w", err)
	}
	return nil
}

func firstLine(line []byte) (*Outcome, error) {
	var o Outcome
	if err := json.Unmarshal(line, &o); err != nil {
		return nil, damaged(opOutcome, "", "line 1: %w", err)
	}
	switch {
	case o.Format > Format:
		return nil, newer(opOutcome, o.Pack, o.Format, Format)
	case o.Format < 1:
		return nil, damaged(opOutcome, o.Pack, "line 1 tells format %d", o.Format)
	}
	return &o, nil
}

// lineError tells a reader that failed from a line that is none.
func lineError(object string, n int, err error) error {
	if errors.Is(err, bufio.ErrTooLong) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(opOutcome, object, "line %d does not end", n)
	}
	return &flow.Error{Op: opOutcome, Object: object, Class: flow.ClassOf(err), Err: fmt.Errorf("line %d: %w", n, err)}
}

// wholeLines splits into lines with their ends; one without an end is an error.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}
