package foreign

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
	"sluice/internal/mql"
	"sluice/internal/objstore"
)

// Wants says which documents are asked for; catalogue.Wanted is one.
type Wants interface {
	// Fits tells whether a key is asked for; there are no ages here.
	Fits(id bson.RawValue, age int64) bool
	// Match tells whether a document is.
	Match(doc bson.Raw) bool
}

// Query chooses documents.
type Query struct {
	Store   objstore.Reader
	Objects []Object
	Want    Wants
	// Versions: every version of a key. Else the newest, of those that Objects
	// hold; if it does not match, none is.
	Versions bool
	// SkipDamaged goes on without what is damaged; else it is an error.
	SkipDamaged bool
}

// Chosen are the documents of a Query.
type Chosen struct {
	q Query
	// newest is the place of the newest version of each key: its member's number
	// among all, and its number therein.
	newest map[idHash]place
	// read is when each member was read from MongoDB, in seconds.
	read []int64
	bad  map[[2]int]bool
	// Documents are all versions of the keys that are asked for, Older those of
	// them that a newer one stands in for.
	Documents, Older int64
	// Faults are what was left out.
	Faults []Fault
}

type (
	idHash [16]byte
	place  struct{ member, entry uint32 }
)

func hashID(id bson.RawValue) idHash {
	var room [64]byte
	sum := sha256.Sum256(mql.AppendKey(room[:0], id))
	return idHash(sum[:16])
}

// all is the number that stands for all members of an object.
const all = -1

// Choose reads every object from end to end, and finds the newest version of each
// key: that of the batch that was read last from MongoDB; of batches of the same
// second, that of the later object, and the later in it.
func Choose(ctx context.Context, q Query) (*Chosen, error) {
	c := &Chosen{q: q, bad: map[[2]int]bool{}}
	faults, err := c.pass(ctx)
	if err != nil || len(faults) == 0 {
		return c, err
	}
	if !q.SkipDamaged {
		return c, damaged("read the archives of go-chive", faults,
			"sluice archive verify --from-gochive tells of all of them. Get a whole copy if there is one;\n"+
				"--skip-damaged leaves out what is damaged, and sluice archive cat writes what of it can still be read.")
	}
	for _, f := range faults {
		for i := range q.Objects {
			if q.Objects[i].Key == f.Object && f.Whole {
				c.bad[[2]int{i, all}] = true
			} else if q.Objects[i].Key == f.Object {
				c.bad[[2]int{i, f.number}] = true
			}
		}
	}
	c.Faults = faults
	// What was chosen from the damaged may have stood in for what is whole.
	if faults, err = c.pass(ctx); err == nil && len(faults) > 0 {
		err = damaged("read the archives of go-chive again", faults, "The objects change while they are read.")
	}
	return c, err
}

// pass goes through what is not known to be bad, and finds the newest.
func (c *Chosen) pass(ctx context.Context) ([]Fault, error) {
	c.newest, c.read, c.Documents, c.Older = map[idHash]place{}, nil, 0, 0
	return c.each(ctx, func(d Document) error {
		for len(c.read) <= d.nth {
			c.read = append(c.read, d.Read.Unix())
		}
		if !c.q.Want.Fits(d.ID, 0) {
			return nil
		}
		c.Documents++
		if c.q.Versions {
			return nil
		}
		key, here := hashID(d.ID), place{uint32(d.nth), uint32(d.Entry)} //nolint:gosec // counts of what was read
		was, ok := c.newest[key]
		if ok {
			c.Older++
		}
		if !ok || c.newer(here, was) {
			c.newest[key] = here
		}
		return nil
	})
}

// newer tells whether a comes after b.
func (c *Chosen) newer(a, b place) bool {
	return cmp.Or(cmp.Compare(c.read[a.member], c.read[b.member]), cmp.Compare(a.member, b.member), cmp.Compare(a.entry, b.entry)) > 0
}

func (c *Chosen) each(ctx context.Context, visit func(Document) error) ([]Fault, error) {
	r := &reader{store: c.q.Store, visit: visit, members: func(object, number int) bool { return !c.bad[[2]int{object, number}] }}
	for i := range c.q.Objects {
		if c.bad[[2]int{i, all}] {
			continue
		}
		if err := r.object(ctx, i, &c.q.Objects[i]); err != nil {
			return nil, err
		}
	}
	return r.faults, nil
}

// Docs reads the objects once more and yields what was chosen, the oldest objects
// first. After an error it ends.
func (c *Chosen) Docs(ctx context.Context) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		enough := errors.New("no more is wanted")
		found := int64(0)
		faults, err := c.each(ctx, func(d Document) error {
			if !c.q.Want.Fits(d.ID, 0) {
				return nil
			}
			here := place{uint32(d.nth), uint32(d.Entry)} //nolint:gosec // counts of what was read
			if !c.q.Versions && c.newest[hashID(d.ID)] != here {
				return nil
			}
			found++
			if c.q.Want.Match(d.Doc) && !yield(d, nil) {
				return enough
			}
			return nil
		})
		switch {
		case errors.Is(err, enough):
			return
		case err == nil && len(faults) > 0:
			err = damaged("read the archives of go-chive again", faults, "")
		case err == nil && found != c.Documents-c.Older:
			err = &flow.Error{Op: "read the archives of go-chive again", Class: flow.Fatal, Err: errors.New("the objects change while they are read")}
		}
		if err != nil {
			yield(Document{}, err)
		}
	}
}
