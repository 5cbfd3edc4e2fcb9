package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"sluice/internal/app"
	"sluice/internal/flow"
)

type archiveLsCmd struct {
	archiveFlags
	jsonFlag
	Namespace string `help:"Only of this collection." placeholder:"DB.COLL"`
	Packs     bool   `help:"List the packs of each run as well."`
	Limit     int    `default:"50" help:"The newest runs (of go-chive: objects), at most; 0 for all." placeholder:"N"`
	foreignFlags
}

// Run lists runs and packs.
func (l *archiveLsCmd) Run(ctx context.Context, c *cli, out stdio) error {
	if l.FromGochive != "" {
		return l.foreign(ctx, c, out)
	}
	o, err := l.load(c, out)
	if err != nil {
		return err
	}
	runs, err := app.ArchiveList(ctx, o, app.ArchiveListOptions{Namespace: l.Namespace, Packs: l.Packs || l.JSON, Limit: l.Limit})
	if err != nil {
		return err
	}
	return tell(out, l.JSON, runs, listText(runs))
}

type archiveShowCmd struct {
	archiveFlags
	jsonFlag
	ID string `arg:"" name:"run" help:"The id of a run, or of a pack."`
}

// Run shows a run with its packs.
func (s *archiveShowCmd) Run(ctx context.Context, c *cli, out stdio) error {
	o, err := s.load(c, out)
	if err != nil {
		return err
	}
	detail, err := app.ArchiveShow(ctx, o, s.ID)
	if err != nil {
		return err
	}
	return tell(out, s.JSON, detail, detailText(detail))
}

type archiveVerifyCmd struct {
	archiveFlags
	jsonFlag
	Namespace string `help:"Only of this collection." placeholder:"DB.COLL"`
	Pack      string `help:"Only this pack (of go-chive: object)." placeholder:"PACK"`
	Deep      bool   `help:"Read every pack back whole, decode it and hash every document. Of go-chive it is always so."`
	foreignFlags
}

// Run checks every pack.
func (v *archiveVerifyCmd) Run(ctx context.Context, c *cli, out stdio) error {
	if v.FromGochive != "" {
		return v.foreign(ctx, c, out)
	}
	o, err := v.load(c, out)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out.out)
	var packs, bad int
	var docs, bytes int64
	for r, err := range app.ArchiveVerify(ctx, o, app.ArchiveVerifyOptions{Namespace: v.Namespace, Pack: v.Pack, Deep: v.Deep}) {
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
		packs, docs, bytes = packs+1, docs+int64(r.Docs), bytes+r.Bytes
		if r.Problem != "" && !r.Garbage {
			bad++
		}
		if err := line(w, v.JSON, r, verifiedText(r)); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if !v.JSON {
		say(out.out, fmt.Sprintf("%d packs with %d documents, %s: %d with a problem", packs, docs, size(bytes), bad))
	}
	if bad > 0 {
		return errDiffers
	}
	return nil
}

type archiveFindCmd struct {
	archiveFlags
	jsonFlag
	which
	Relaxed  bool `help:"Print relaxed Extended JSON: easier to read, but the types of numbers are lost."`
	Versions bool `help:"Every version of a document, not only the newest."`
	Thaw     bool `help:"Ask for packs in a cold storage class to be made readable; come back when they are."`
	Limit    int  `help:"So many documents, at most." placeholder:"N"`
	foreignFlags
	skipFlag
}

// Run prints documents of the archive.
func (f *archiveFindCmd) Run(ctx context.Context, c *cli, out stdio) error {
	o, source, err := f.source(c, out)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out.out)
	n := 0
	for doc, err := range source(ctx) {
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
		text, err := doc.Text(f.Relaxed, f.JSON)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(text, '\n')); err != nil {
			return err
		}
		n++
	}
	if err := w.Flush(); err != nil {
		return err
	}
	o.Logger.Info("documents found", "documents", n)
	return nil
}

// source is what documents are found in.
func (f *archiveFindCmd) source(c *cli, out stdio) (app.ArchiveOptions, func(context.Context) iter.Seq2[app.ArchiveFound, error], error) {
	chosen, err := f.choose()
	if err != nil {
		return app.ArchiveOptions{}, nil, err
	}
	find := app.ArchiveFindOptions{ArchiveWhich: chosen, Versions: f.Versions, Thaw: f.Thaw, Limit: f.Limit}
	if f.FromGochive != "" {
		o, place, err := f.foreign(c, out)
		return o, func(ctx context.Context) iter.Seq2[app.ArchiveFound, error] {
			return app.ForeignFind(ctx, o, place, find)
		}, err
	}
	if err := f.needsForeign(f.SkipDamaged); err != nil {
		return app.ArchiveOptions{}, nil, err
	}
	o, err := f.load(c, out)
	return o, func(ctx context.Context) iter.Seq2[app.ArchiveFound, error] { return app.ArchiveFind(ctx, o, find) }, err
}

type archiveCatCmd struct {
	archiveFlags
	Pack string `arg:"" help:"The id of the pack (of go-chive: the object)."`
	foreignFlags
}

// Run writes a pack as BSON.
func (p *archiveCatCmd) Run(ctx context.Context, c *cli, out stdio) error {
	if isTerminal(out.out) {
		return &flow.Error{Op: "write", Object: p.Pack, Class: flow.Config, Err: errors.New("BSON is nothing for a terminal"), Hint: "sluice archive cat PACK | bsondump"}
	}
	if p.FromGochive != "" {
		return p.foreign(ctx, c, out)
	}
	o, err := p.load(c, out)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out.out, 1<<20)
	return errors.Join(app.ArchiveCat(ctx, o, p.Pack, w), w.Flush())
}

type archiveForgetCmd struct {
	archiveFlags
	jsonFlag
	which
	Reason string `help:"Noted in the record of the erasure. No personal data." placeholder:"TEXT"`
	DryRun bool   `help:"Tell what would be erased."`
}

// Run erases documents from the archive.
func (f *archiveForgetCmd) Run(ctx context.Context, c *cli, out stdio) error {
	if len(f.ID) == 0 && f.Query == "" {
		return &flow.Error{Op: "forget", Class: flow.Config, Err: errors.New("nothing is chosen"), Hint: "give --id or --query"}
	}
	o, err := f.load(c, out)
	if err != nil {
		return err
	}
	chosen, err := f.choose()
	if err != nil {
		return err
	}
	done, err := app.ArchiveForget(ctx, o, app.ArchiveForgetOptions{ArchiveWhich: chosen, Reason: f.Reason, DryRun: f.DryRun})
	if err != nil {
		return err
	}
	if err := tell(out, f.JSON, done, forgottenText(done, f.DryRun)); err != nil {
		return err
	}
	if len(done.Unreached) > 0 {
		return errDiffers
	}
	return nil
}

type archiveGCCmd struct {
	archiveFlags
	jsonFlag
	OlderThan time.Duration `default:"24h" help:"Only what is older: a run at work has objects without a manifest too." placeholder:"DURATION"`
	DryRun    bool          `help:"Tell what would be removed."`
}

// Run removes what belongs to no pack.
func (g *archiveGCCmd) Run(ctx context.Context, c *cli, out stdio) error {
	o, err := g.load(c, out)
	if err != nil {
		return err
	}
	removed, err := app.ArchiveGC(ctx, o, g.OlderThan, g.DryRun)
	if err != nil {
		return err
	}
	return tell(out, g.JSON, removed, removedText(removed, g.DryRun))
}

type archiveRebuildCmd struct {
	archiveFlags
	jsonFlag
}

// Run writes the journal anew.
func (r *archiveRebuildCmd) Run(ctx context.Context, c *cli, out stdio) error {
	o, err := r.load(c, out)
	if err != nil {
		return err
	}
	done, err := app.ArchiveRebuild(ctx, o)
	if err != nil {
		return err
	}
	return tell(out, r.JSON, done, fmt.Sprintf("%d runs, %d packs and %d exceptions are in the journal; %d packs were new to it",
		done.Runs, done.Packs, done.Exceptions, done.New))
}

// line writes a result of many: as a line of JSON or of text.
func line(w io.Writer, asJSON bool, v any, text string) error {
	if asJSON {
		return encode(w, v)
	}
	_, err := io.WriteString(w, text+"\n")
	return err
}
