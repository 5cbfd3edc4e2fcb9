package main

import (
	"context"
	"errors"
	"time"

	"sluice/internal/app"
	"sluice/internal/config"
	"sluice/internal/flow"
)

type archiveCmd struct {
	Plan    archivePlanCmd    `cmd:"" help:"Tell what the rules would archive, and refuse what can't work; exit code 3 if something is refused."`
	Run     archiveRunCmd     `cmd:"" help:"Run the rules, by their schedules or once."`
	Ls      archiveLsCmd      `cmd:"" help:"List runs and packs."`
	Show    archiveShowCmd    `cmd:"" help:"Show a run with its packs."`
	Verify  archiveVerifyCmd  `cmd:"" help:"Check that every pack is there and whole; exit code 3 if something is not."`
	Find    archiveFindCmd    `cmd:"" help:"Find documents in the archive and print them, one per line, as Extended JSON."`
	Cat     archiveCatCmd     `cmd:"" help:"Write a pack as BSON, as bsondump and mongorestore read it."`
	Forget  archiveForgetCmd  `cmd:"" help:"Erase documents from the archive."`
	GC      archiveGCCmd      `cmd:"" name:"gc" help:"Remove what belongs to no pack: objects of runs that were given up."`
	Rebuild archiveRebuildCmd `cmd:"" name:"rebuild-catalogue" help:"Write the journal anew from what is in the bucket."`
	Pause   archivePauseCmd   `cmd:"" help:"Let a running sluice pause archiving."`
	Resume  archiveResumeCmd  `cmd:"" help:"Let a running sluice go on archiving."`
}

// archiveFlags are those of every verb of the archive.
type archiveFlags struct {
	configFile
	Rule []string `sep:"none" help:"Only this rule. May be repeated." placeholder:"NAME"`
}

// load reads the configuration and makes what the verbs of app take. There must be
// rules.
func (f *archiveFlags) load(c *cli, out stdio) (app.ArchiveOptions, error) {
	o, err := f.loadAny(c, out)
	if err == nil && len(o.Config.Archive) == 0 {
		return app.ArchiveOptions{}, &flow.Error{
			Op: "read", Object: o.Config.File, Class: flow.Config, Err: errors.New("it has no rules to archive"),
			Hint: "add a section archive; docs/configuration.md tells its fields",
		}
	}
	return o, err
}

// loadAny is load for verbs that do without rules.
func (f *archiveFlags) loadAny(c *cli, out stdio) (app.ArchiveOptions, error) {
	cfg, err := config.Load(f.Config, config.Overrides{})
	if err != nil {
		return app.ArchiveOptions{}, err
	}
	o := app.ArchiveOptions{Config: cfg, Rules: f.Rule}
	terminal := isTerminal(out.err)
	w := out.err
	if terminal {
		o.Progress = app.NewScreen(out.err)
		w = o.Progress
	}
	o.Logger, err = app.NewLogger(w, app.LogOptions{Format: c.LogFormat, Level: c.LogLevel, Terminal: terminal})
	return o, err
}

// jsonFlag is that of verbs that tell results.
type jsonFlag struct {
	JSON bool `help:"Print JSON."`
}

// moment is a time on the command line.
type moment struct{ time.Time }

// UnmarshalText reads a date, which begins at midnight UTC, or a time of RFC 3339.
func (m *moment) UnmarshalText(b []byte) error {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, string(b)); err == nil {
			m.Time = t.UTC()
			return nil
		}
	}
	return errors.New("wants a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z")
}

// which chooses documents of the archive.
type which struct {
	Namespace string   `help:"Only of this collection." placeholder:"DB.COLL"`
	Pack      string   `help:"Only in this pack." placeholder:"PACK"`
	ID        []string `name:"id" sep:"none" help:"The _id: Extended JSON, 24 hex digits, a number, or text. May be repeated." placeholder:"ID"`
	Query     string   `help:"A query of MongoDB, as Extended JSON." placeholder:"JSON"`
	From      moment   `help:"Documents whose age field is at or after this." placeholder:"TIME"`
	To        moment   `help:"Documents whose age field is before this." placeholder:"TIME"`
}

func (w *which) choose() (app.ArchiveWhich, error) {
	out := app.ArchiveWhich{Namespace: w.Namespace, Pack: w.Pack, From: w.From.Time, To: w.To.Time}
	for _, text := range w.ID {
		id, err := app.ParseKey(text)
		if err != nil {
			return out, err
		}
		out.IDs = append(out.IDs, id)
	}
	var err error
	out.Query, err = app.ParseQuery(w.Query)
	return out, err
}

// any tells whether something was chosen.
func (w *which) any() bool {
	return w.Namespace != "" || w.Pack != "" || len(w.ID) > 0 || w.Query != "" || !w.From.IsZero() || !w.To.IsZero()
}

type archivePlanCmd struct {
	archiveFlags
	jsonFlag
}

// Run tells what the rules would do.
func (p *archivePlanCmd) Run(ctx context.Context, c *cli, out stdio) error {
	o, err := p.load(c, out)
	if err != nil {
		return err
	}
	plans, err := app.ArchivePlan(ctx, o)
	if err != nil {
		return err
	}
	if err := tell(out, p.JSON, plans, plansText(plans)); err != nil {
		return err
	}
	for i := range plans {
		if plans[i].Refused() {
			return errDiffers
		}
	}
	return nil
}

type archiveRunCmd struct {
	archiveFlags
	jsonFlag
	Once bool `help:"Run each rule once, now, whatever its schedule says, and end."`
}

// Run runs the rules.
func (r *archiveRunCmd) Run(ctx context.Context, c *cli, out stdio) error {
	o, err := r.load(c, out)
	if err != nil {
		return err
	}
	ctx, drain, cut, stop := signals(ctx)
	defer stop()
	reports, err := app.ArchiveRunRules(ctx, o, drain, r.Once)
	if cut() {
		return errCut
	}
	if r.Once && len(reports) > 0 {
		if terr := tell(out, r.JSON, reports, reportsText(reports)); terr != nil {
			return terr
		}
	}
	if app.ArchiveRefused(err) {
		say(out.err, "sluice: "+err.Error())
		return errDiffers
	}
	return err
}
