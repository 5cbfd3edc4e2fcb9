package foreign

import (
	"context"
	"encoding/binary"

	"sluice/internal/objstore"
)

// Checked is what was found in an object that was read from end to end.
type Checked struct {
	Object
	// Members, Documents and RawBytes are what could be read of it, damaged or not.
	Members   int     `json:"members"`
	Documents int64   `json:"documents"`
	RawBytes  int64   `json:"raw_bytes"`
	Faults    []Fault `json:"faults,omitempty"`
}

// Summary is of all objects of a Check.
type Summary struct {
	Objects   int   `json:"objects"`
	Damaged   int   `json:"damaged"`
	Documents int64 `json:"documents"`
	// Keys are the different values of _id. Repeated of them have several versions
	// that are the Same, Differing several that are not.
	Keys      int `json:"keys"`
	Repeated  int `json:"repeated"`
	Differing int `json:"differing"`
	// Examples are some of the latter.
	Examples []Repeat `json:"examples,omitempty"`
	// Others are objects that have not the name of one of go-chive's.
	Others int `json:"others,omitempty"`
}

// Repeat is a version of a key that differs from one before it.
type Repeat struct {
	// ID is the key as Extended JSON.
	ID     string `json:"id"`
	Object string `json:"object"`
	Member string `json:"member"`
	Entry  int    `json:"entry"`
}

// maxExamples bounds Summary.Examples.
const maxExamples = 20

// What is noted of a key beside some bits of its contents.
const (
	noteRepeated  = 1
	noteDiffering = 2
	noteBits      = 3
)

// Check reads every object, the oldest first, and tells each. What is damaged is
// in the reports; an error is of the store, of told, or the end of ctx.
func Check(ctx context.Context, store objstore.Reader, objects []Object, told func(Checked) error) (Summary, error) {
	s := Summary{Objects: len(objects)}
	keys := map[idHash]uint64{}
	var c Checked
	r := &reader{store: store, visit: func(d Document) error {
		c.Documents++
		c.RawBytes += int64(len(d.Doc))
		s.note(keys, d)
		return nil
	}}
	for i, o := range objects {
		c = Checked{Object: o}
		r.faults, r.seen = nil, 0
		if err := r.object(ctx, i, &o); err != nil {
			return s, err
		}
		c.Members, c.Faults = r.seen, r.faults
		if len(c.Faults) > 0 {
			s.Damaged++
		}
		s.Documents += c.Documents
		if err := told(c); err != nil {
			return s, err
		}
	}
	s.Keys = len(keys)
	for _, note := range keys {
		switch {
		case note&noteDiffering != 0:
			s.Differing++
		case note&noteRepeated != 0:
			s.Repeated++
		}
	}
	return s, nil
}

// note compares a version with the first of its key.
func (s *Summary) note(keys map[idHash]uint64, d Document) {
	sum := contents(d.Doc)
	mine := binary.LittleEndian.Uint64(sum[:]) &^ noteBits
	key := hashID(d.ID)
	was, ok := keys[key]
	switch {
	case !ok:
		keys[key] = mine
	case was&^noteBits == mine:
		keys[key] = was | noteRepeated
	default:
		keys[key] = was | noteDiffering
		if len(s.Examples) < maxExamples {
			s.Examples = append(s.Examples, Repeat{ID: d.ID.String(), Object: d.Key, Member: d.Member, Entry: d.Entry})
		}
	}
}

// Cat hands each document of one object to write, in order. What can be read of a
// damaged one comes first, then the error that names the faults.
func Cat(ctx context.Context, store objstore.Reader, o Object, write func(Document) error) error {
	r := &reader{store: store, visit: write}
	if err := r.object(ctx, 0, &o); err != nil {
		return err
	}
	if len(r.faults) > 0 {
		return damaged("read", r.faults, "What could be read of it was written.")
	}
	return nil
}
