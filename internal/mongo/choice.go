package mongo

import (
	"errors"
	"slices"

	"sluice/internal/flow"
)

// choice narrows what a flow follows to a part of it.
type choice struct {
	include, exclude []pattern
	none             bool
}

func parseChoice(include, exclude []string, none bool) (choice, error) {
	c := choice{none: none}
	var err error
	if c.include, err = parsePatterns(include); err != nil {
		return c, err
	}
	c.exclude, err = parsePatterns(exclude)
	return c, err
}

// takes tells whether ns, which the flow follows, is in that part.
func (c choice) takes(ns flow.Namespace) bool {
	fits := func(p pattern) bool { return p.fits(ns) }
	return !c.none && (len(c.include) == 0 || slices.ContainsFunc(c.include, fits)) && !slices.ContainsFunc(c.exclude, fits)
}

// names tells whether an include, of any kind, fits ns.
func (c choice) names(ns flow.Namespace) bool {
	return slices.ContainsFunc(c.include, func(p pattern) bool { return p.fits(ns) })
}

// narrow reads what is copied, and whose changes count.
func (s *selection) narrow(o Options) error {
	var err error
	if s.copied, err = parseChoice(o.Snapshot.Include, o.Snapshot.Exclude, o.Snapshot.Disabled); err != nil {
		return err
	}
	if s.streamed, err = parseChoice(o.Stream.Include, o.Stream.Exclude, o.Stream.Disabled); err != nil {
		return err
	}
	s.reserved = o.Reserved
	if !s.streamed.none && len(s.listened()) == 0 {
		return configError("", errors.New("no namespace is left whose changes are followed"))
	}
	return nil
}

// copies tells whether ns is copied.
func (s selection) copies(ns flow.Namespace) bool { return s.follows(ns) && s.copied.takes(ns) }

// streams tells whether the changes of ns count.
func (s selection) streams(ns flow.Namespace) bool { return s.follows(ns) && s.streamed.takes(ns) }

// wantsView tells whether a view is copied: it was asked for by its own name, or
// by a pattern that says what is copied.
func (s selection) wantsView(ns flow.Namespace) bool {
	return s.copies(ns) && (s.named(ns) || s.copied.names(ns))
}

// listened returns the patterns of all whose changes count: as few and as narrow
// ones as can be told without knowing what there is.
func (s selection) listened() []pattern {
	if s.streamed.none {
		return nil
	}
	from := s.include
	if in := s.streamed.include; len(in) > 0 && !slices.ContainsFunc(in, func(p pattern) bool { return !p.plain() }) {
		from = in
	}
	var out []pattern
	for _, p := range from {
		if !p.plain() || s.streams(flow.Namespace{DB: p.db, Coll: p.coll}) {
			out = append(out, p)
		}
	}
	return out
}
