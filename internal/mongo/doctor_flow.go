package mongo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
)

// maxTried bounds the namespaces that are tried one by one.
const maxTried = 200

// Flow looks at what a flow follows: that there is something, that we may read
// it, and that the oplog outlasts its copy. It returns what the flow would copy.
func (d *Doctor) Flow(ctx context.Context, name string, o Options) ([]Collection, flow.Findings) {
	var f flow.Findings
	s, err := d.source(o)
	if err != nil {
		f.Fail(flow.FindingError, "mongodb.namespaces", name, err, "look at namespaces, exclude and filter of the flow")
		return nil, f
	}
	listing, done := context.WithTimeout(ctx, 2*doctorPatience)
	all, err := s.discover(listing)
	done()
	if err != nil {
		f.Fail(flow.FindingError, "mongodb.rights", name, err, "")
		return nil, f
	}
	d.patterns(ctx, &f, name, s, all)
	d.related(ctx, &f, name, s)
	d.stream(ctx, &f, name, s)
	t := d.try(ctx, s, all)
	t.tell(&f, name, s)
	d.window(&f, name, o.Snapshot, t.docs, t.bytes)
	return slices.DeleteFunc(all, func(c Collection) bool { return c.Refused != nil || slices.Contains(t.closed, c.NS.String()) }), f
}

// source is as much of a Source as it takes to list and to watch.
func (d *Doctor) source(o Options) (*Source, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Source{opts: o, log: o.Logger, uri: d.uri, client: d.client, changed: make(chan struct{})}
	s.caps.version, s.caps.sharded, s.caps.expanded = d.version, d.hello.mongos, d.version.atLeast(6, 0)
	if s.sel, err = newSelection(o); err != nil {
		return nil, err
	}
	if s.related, err = newRelations(s); err != nil {
		return nil, err
	}
	if s.prefs.copies, err = o.Snapshot.readPref(); err != nil {
		return nil, err
	}
	s.scope = s.sel.scope(s.caps.expanded)
	return s, nil
}

// patterns tells which of them find nothing, or nothing that can be followed.
func (d *Doctor) patterns(ctx context.Context, f *flow.Findings, name string, s *Source, all []Collection) {
	const check = "mongodb.namespaces"
	sound := true
	for i, p := range s.sel.include {
		text := s.opts.Namespaces[i]
		fits := slices.ContainsFunc(all, func(c Collection) bool { return p.fits(c.NS) })
		if fits {
			continue
		}
		sound = false
		if others := d.unfollowed(ctx, s, p); len(others) > 0 {
			f.Add(flow.FindingWarning, check, text, fmt.Sprintf("flow %s: %s finds only views and time series collections: %s", name, text, few(others)),
				"they come with a pattern only by their own name, and have no change events",
				"name the collections behind the views, or a view by its own name (it is copied once, and not followed)")
			continue
		}
		f.Add(flow.FindingWarning, check, text, fmt.Sprintf("flow %s: %s finds no collection", name, text),
			"what comes later and fits is followed; but a misspelt name looks the same (upper and lower case count)",
			"check the name, and which deployment mongodb.uri names")
	}
	for _, c := range all {
		switch {
		case c.Refused != nil:
			sound = false
			f.Add(flow.FindingError, check, c.NS.String(), fmt.Sprintf("flow %s: %s can't be followed", name, c.NS), c.Refused.Error(),
				"take it out of namespaces; keep what is to be searched in a normal collection")
		case c.Kind == KindView:
			f.Add(flow.FindingWarning, check, c.NS.String(), fmt.Sprintf("flow %s: %s is a view", name, c.NS),
				"it is copied once; it has no change events, so what changes later is not seen", "follow the collections that the view is made of")
		}
	}
	if sound {
		f.OK(check, name, "%d collections are followed", len(all))
	}
}

// unfollowed returns what a pattern finds and the flow leaves out for its kind.
func (d *Doctor) unfollowed(ctx context.Context, s *Source, p pattern) []string {
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	dbs := []string{p.db}
	if p.re != nil {
		var err error
		if dbs, err = s.client.ListDatabaseNames(ctx, bson.D{}, options.ListDatabases().SetAuthorizedDatabases(true)); err != nil {
			return nil
		}
	}
	var names []string
	for _, db := range dbs {
		infos, err := s.listInfos(ctx, db, true)
		if err != nil {
			continue
		}
		for _, info := range infos {
			coll, _ := info.Lookup("name").StringValueOK()
			ns := flow.Namespace{DB: db, Coll: coll}
			if k := kindOfInfo(info); p.fits(ns) && !reserved(ns) && (k == KindView || k == KindTimeseries) {
				names = append(names, ns.String())
			}
		}
	}
	return names
}

// stream opens the flow's change stream and closes it again.
func (d *Doctor) stream(ctx context.Context, f *flow.Findings, name string, s *Source) {
	const check = "mongodb.change_stream"
	if d.hello.setName == "" && !d.hello.mongos || s.sel.streamed.none {
		return // told already: a standalone has none
	}
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	s.ctx = ctx
	cs, err := (&stream{s: s}).openCursor(ctx)
	if err != nil {
		f.Fail(flow.FindingError, check, name, s.deniedStream(fault("open the change stream of", name, err)), "")
		return
	}
	_, ok := markAt(cs.ResumeToken())
	_ = cs.Close(ctx)
	if !ok {
		f.Add(flow.FindingError, check, name, "the server gives no resume token that sluice can read", "it is not MongoDB, or is very old", "use MongoDB 4.4 or newer")
		return
	}
	f.OK(check, name, "the change stream can be opened")
}

// trial is what trying each namespace has shown.
type trial struct {
	// closed may not be read, unsized not be asked for their size, unindexed not
	// for their indexes; failed did not answer.
	// unlisted tell neither their kind nor their UUID.
	closed, unsized, unindexed, unlisted, failed []string
	failure                                      error
	docs, bytes                                  float64
}

// try reads one document of each namespace, and asks for its size and indexes.
func (d *Doctor) try(ctx context.Context, s *Source, all []Collection) trial {
	var t trial
	for _, c := range all[:min(len(all), maxTried)] {
		if c.Refused == nil {
			t.one(ctx, s, c)
		}
	}
	return t
}

func (t *trial) one(ctx context.Context, s *Source, c Collection) {
	ctx, done := context.WithTimeout(ctx, doctorPatience)
	defer done()
	db, name := s.client.Database(c.NS.DB), c.NS.String()
	err := db.RunCommand(ctx, bson.D{
		{Key: "find", Value: c.NS.Coll},
		{Key: "limit", Value: 1},
		{Key: "singleBatch", Value: true},
		{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}},
	}, s.copyPref()).Err()
	switch {
	case denies(err):
		t.closed = append(t.closed, name)
		return
	case err != nil:
		t.failed, t.failure = append(t.failed, name), fault("read", name, err)
		return
	case c.Kind == KindView:
		return
	}
	if c.UUID == "" {
		t.unlisted = append(t.unlisted, name)
	}
	raw, err := db.RunCommand(ctx, bson.D{{Key: "collStats", Value: c.NS.Coll}}, s.copyPref()).Raw()
	if err == nil {
		n, _ := raw.Lookup("count").AsFloat64OK()
		size, _ := raw.Lookup("size").AsFloat64OK()
		t.docs, t.bytes = t.docs+n, t.bytes+size
	} else if denies(err) {
		t.unsized = append(t.unsized, name)
	}
	cur, err := db.Collection(c.NS.Coll).Indexes().List(ctx)
	if err == nil {
		_ = cur.Close(ctx)
	} else if denies(err) {
		t.unindexed = append(t.unindexed, name)
	}
}

// tell makes findings of a trial.
func (t *trial) tell(f *flow.Findings, name string, s *Source) {
	const check = "mongodb.rights"
	role := "create this role in the database admin, and grant it to the user:\n" + s.sel.role()
	missing := func(severity flow.Severity, action string, where []string, why string) {
		if len(where) > 0 {
			f.Add(severity, check, name, fmt.Sprintf("flow %s: the user has no right to %s on %s", name, action, few(where)), why, role)
		}
	}
	missing(flow.FindingError, "find", t.closed, "these collections can't be copied, and updated documents not be read")
	missing(flow.FindingWarning, "listCollections", t.unlisted, "a collection that was dropped and made again while sluice was down can't be told from the old one")
	missing(flow.FindingWarning, "collStats", t.unsized, "how long a copy takes can't be told, and the size of its chunks is a guess")
	missing(flow.FindingInfo, "listIndexes", t.unindexed, "")
	if len(t.failed) > 0 {
		f.Fail(flow.FindingError, check, few(t.failed), t.failure, "")
	}
	if len(t.closed)+len(t.unsized)+len(t.unlisted)+len(t.unindexed)+len(t.failed) == 0 {
		f.OK(check, name, "what the flow follows can be read")
	}
}

// few names the first ones and counts the rest.
func few(names []string) string {
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
