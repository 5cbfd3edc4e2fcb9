package catalogue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"sluice/internal/objstore"
)

// CheckOptions say what is checked.
type CheckOptions struct {
	Query
	// Deep: each pack is read back whole, decoded and hashed. Else its size is
	// compared with what the header of its manifest tells.
	Deep bool
	// Grace is how old a pack without a manifest has to be to be reported: a
	// younger one may be of a run that is going on.
	Grace time.Duration
}

// Checked is what was found of one pack, or of an object that belongs to none.
type Checked struct {
	Store  string `json:"store"`
	Object string `json:"object"`
	Pack   string `json:"pack,omitempty"`
	Rule   string `json:"rule,omitempty"`
	NS     string `json:"namespace,omitempty"`
	Docs   int    `json:"docs"`
	Bytes  int64  `json:"bytes"`
	// Deep: it was read back whole, decoded and hashed, and is what its manifest
	// tells.
	Deep bool `json:"deep"`
	// Problem is "" if all is well.
	Problem string `json:"problem,omitempty"`
	// Garbage: it belongs to no pack; nothing is lost without it.
	Garbage bool `json:"garbage,omitempty"`
}

// Check looks at each pack that the query chooses, and, without a pack in the
// query, for objects that belong to none. What is wrong with a pack is told in
// its report; an error means that the store can't be listed, or the end of ctx.
func (s *Shelf) Check(ctx context.Context, o CheckOptions) iter.Seq2[Checked, error] {
	return func(yield func(Checked, error) bool) {
		l, err := s.scan(ctx, o.Rule, o.NS)
		if err != nil {
			yield(Checked{}, err)
			return
		}
		named := map[string]bool{}
		width := readers
		if o.Deep {
			width = 2 // each streams a whole pack
		}
		check := func(ctx context.Context, g group) (Checked, error) { return s.checkOne(ctx, l, g, o) }
		for c, err := range ordered(ctx, width, l.chosen(o.Query), check) {
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(Checked{}, err)
				return
			}
			named[c.Object] = true
			if c.Object == "" {
				continue // not asked for
			}
			if !yield(c, nil) {
				return
			}
		}
		if o.Pack == "" && o.From.IsZero() && o.To.IsZero() {
			s.strays(l, named, o, yield)
		}
	}
}

// checkOne returns the zero Checked for a pack that is not asked for.
func (s *Shelf) checkOne(ctx context.Context, l *listing, g group, o CheckOptions) (Checked, error) {
	c := Checked{Store: s.o.Name, Object: g.manifest.Key, Pack: id(g.stem)}
	h, err := s.header(ctx, g.manifest)
	if err != nil {
		c.Problem = err.Error()
		return c, nil //nolint:nilerr // it is in the report
	}
	if !o.fits(h) {
		return Checked{}, nil
	}
	c = Checked{Store: s.o.Name, Object: h.Object, Pack: h.ID, Rule: h.Rule, NS: h.NS, Docs: h.Docs, Bytes: h.Bytes}
	problem := s.checkObject(l, h.Object, h.Bytes)
	if problem == nil && g.outcome.Key != "" {
		problem = s.checkOutcome(ctx, g.stem, h.Docs)
	}
	if problem == nil && o.Deep {
		if problem = s.checkDeep(ctx, g.manifest.Key); problem == nil {
			c.Deep = true
		}
	}
	if problem != nil {
		c.Problem = problem.Error()
	}
	return c, nil
}

func (s *Shelf) checkObject(l *listing, key string, size int64) error {
	info, ok := l.packs[key]
	switch {
	case !ok:
		return errors.New("the pack is missing: its manifest is there, and it is not")
	case info.Size != size:
		return fmt.Errorf("the pack has %d bytes, and its manifest tells %d", info.Size, size)
	}
	return nil
}

func (s *Shelf) checkOutcome(ctx context.Context, stem string, docs int) error {
	out, err := s.outcome(ctx, stem)
	if err == nil && out.docs() != docs {
		err = fmt.Errorf("its outcome is of %d documents, and it has %d", out.docs(), docs)
	}
	return err
}

func (s *Shelf) checkDeep(ctx context.Context, manifest string) error {
	m, err := s.Manifest(ctx, manifest)
	if err != nil {
		return err
	}
	err = s.Verify(ctx, m)
	if errors.Is(err, objstore.ErrCold) {
		return errors.New("the pack is in a cold storage class and can't be read back; thaw it first")
	}
	return err
}

// strays reports the packs that no manifest names, where all manifests could be
// read.
func (s *Shelf) strays(l *listing, named map[string]bool, o CheckOptions, yield func(Checked, error) bool) {
	for key, info := range l.packs {
		if named[key] || l.hasManifest(key) || s.o.Now().Sub(info.Modified) < o.Grace {
			continue
		}
		if !yield(Checked{
			Store: s.o.Name, Object: key, Bytes: info.Size, Garbage: true,
			Problem: "no manifest names it: it is not part of the archive, and sluice archive gc removes it",
		}, nil) {
			return
		}
	}
}

// hasManifest tells whether there is a manifest that the key of a pack belongs
// to, by the keys alone.
func (l *listing) hasManifest(key string) bool {
	return slices.ContainsFunc(stemsOf(key), func(stem string) bool { return l.stems[stem] })
}
