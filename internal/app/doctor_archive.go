package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/objstore"
)

// planPatience bounds the plan of one rule: it counts what is old.
const planPatience = time.Minute

// archive looks at the spool, at each place, and at each rule.
func (d *doctor) archive(ctx context.Context) {
	if len(d.rules) == 0 {
		return
	}
	var pack config.Size
	for _, a := range d.rules {
		pack = max(pack, a.PackSize)
	}
	d.note(checkpoint.VisitDir(d.cfg.Spool.Path, "spool.directory", "spool.path", int64(pack)))
	if pack > d.cfg.Spool.Max {
		d.f.Add(flow.FindingWarning, "spool.max", d.cfg.Spool.Path, "spool.max is less than the largest pack_size",
			"packs are closed when the spool is full, smaller than they are meant to be", "raise spool.max, or lower pack_size")
	}
	works := map[string]bool{}
	for _, a := range d.rules {
		if _, known := works[a.To]; !known {
			works[a.To] = d.place(ctx, a.To)
		}
	}
	if d.mongo == nil {
		return
	}
	for _, a := range d.rules {
		d.rule(ctx, a, works[a.To])
	}
	d.governor(ctx)
}

// place tries a store; directories that it makes are removed.
func (d *doctor) place(ctx context.Context, to string) (works bool) {
	defer d.cleanPlace(to)()
	name := objstore.Name(to)
	o := reachS3(d.cfg.S3)
	o.Attempts = 2 // whoever asks is waiting
	store, err := objstore.Open(ctx, to, o)
	if err != nil {
		d.f.Fail(flow.FindingError, "store.works", name, err, "")
		return false
	}
	defer func() { _ = closePlace(store) }()
	found := objstore.Visit(ctx, name, store, d.now)
	d.note(found)
	return found.Sound()
}

// cleanPlace returns what removes the directories of a place that are not there
// now, and are left empty then.
func (d *doctor) cleanPlace(to string) func() {
	dir, ok := objstore.LocalDir(to)
	if !ok {
		return func() {}
	}
	var missing []string
	for p := filepath.Join(dir, "sluice-probe"); p != filepath.Dir(p); p = filepath.Dir(p) {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, p)
	}
	return func() {
		for _, p := range missing {
			_ = os.Remove(p) // one that somebody has put something into stays
		}
	}
}

// rule plans a rule on each of its collections, and tries its rights.
func (d *doctor) rule(ctx context.Context, a *config.Archive, placeWorks bool) {
	const check = "archive.plan"
	if !placeWorks {
		return // the place is what has to be mended first
	}
	defer d.cleanPlace(a.To)()
	ctx, done := context.WithTimeout(ctx, planPatience)
	defer done()
	plans, err := ArchivePlan(ctx, ArchiveOptions{Config: d.cfg, Rules: []string{a.Name}, Logger: slog.New(slog.DiscardHandler)})
	switch {
	case err != nil && ctx.Err() != nil:
		d.f.Add(flow.FindingWarning, check, a.Name, "rule "+a.Name+": the plan took longer than "+planPatience.String(),
			"large collections are counted by their index", "sluice archive plan --rule "+a.Name+" takes its time")
		return
	case err != nil:
		d.f.Fail(flow.FindingError, check, a.Name, err, "")
		return
	case len(plans) == 0:
		d.f.Add(flow.FindingWarning, check, a.Name, "rule "+a.Name+": no collection fits "+a.Namespace,
			"a misspelt name looks the same (upper and lower case count)", "check the namespace, and which deployment mongodb.uri names")
		return
	}
	for _, p := range plans {
		for _, r := range p.Refusals {
			d.f.Add(flow.FindingError, check, p.NS, "rule "+a.Name+" is refused: "+r.What, "", r.Cure)
		}
		for _, w := range p.Warnings {
			d.f.Add(flow.FindingWarning, check, p.NS, "rule "+a.Name+": "+w, "", "")
		}
		if ns, ok := flow.ParseNamespace(p.NS); ok && p.Delete && !p.Refused() {
			d.note(d.mongo.Removes(ctx, a.Name, ns))
		}
		if !p.Refused() && len(p.Warnings) == 0 {
			d.f.OK(check, p.NS, "rule %s can run: %d documents are old enough", a.Name, p.Count)
		}
	}
}

// governor looks whether it may see what it has to.
func (d *doctor) governor(ctx context.Context) {
	const check = "archive.governor"
	ctx, done := context.WithTimeout(ctx, visitTimeout)
	defer done()
	o := ArchiveOptions{Config: d.cfg}
	db, err := o.openDB(ctx)
	if err != nil {
		d.f.Fail(flow.FindingError, check, "", err, "")
		return
	}
	defer closeDB(ctx, db)
	l, err := loadOf(ctx, db, d.cfg.Governor.MinOplogWindow)
	if err != nil {
		d.f.Fail(flow.FindingError, check, "", err, "")
		return
	}
	missing := slices.Compact(slices.Sorted(slices.Values(l.Missing)))
	cure := `grant serverStatus, replSetGetStatus and replSetGetConfig on {cluster: true}, and find and collStats on {db: "local", collection: "oplog.rs"}; clusterMonitor has all of them`
	switch what := "the user may not see " + strings.Join(missing, ", "); {
	case !l.LagKnown && d.cfg.Governor.UnknownLag == config.LagPause:
		d.f.Add(flow.FindingError, check, d.cfg.MongoDB.Redacted(), what,
			"the replication lag is unknown, and the archive pauses as long as it is", cure+"; or set governor.unknown_lag to allow")
	case len(missing) > 0:
		d.f.Add(flow.FindingWarning, check, d.cfg.MongoDB.Redacted(), what, "the archive can't pace itself by it", cure)
	default:
		d.f.OK(check, d.cfg.MongoDB.Redacted(), "the load of the database can be seen")
	}
}
