package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/internal/app"
	"sluice/internal/flow"
)

// foreignFlags choose archives that go-chive itself wrote.
type foreignFlags struct {
	FromGochive string `help:"The archives that go-chive itself wrote below this place (s3://BUCKET/PREFIX or file:///DIRECTORY), and not sluice's own." placeholder:"URL"`
}

type skipFlag struct {
	SkipDamaged bool `help:"With --from-gochive: go on without what is damaged; else nothing is done."`
}

// needsForeign refuses what is told of archives of go-chive alone.
func (f *foreignFlags) needsForeign(told bool) error {
	if f.FromGochive != "" || !told {
		return nil
	}
	return &flow.Error{Op: "read the command line", Class: flow.Config, Err: errors.New("--skip-damaged is only for --from-gochive")}
}

// given is a flag, and whether it was given.
type given struct {
	flag string
	is   bool
}

// notOf refuses flags that have no meaning for archives of go-chive.
func notOf(why string, flags ...given) error {
	for _, f := range flags {
		if f.is {
			return &flow.Error{Op: "read the command line", Object: f.flag, Class: flow.Config, Err: errors.New("it has no meaning with --from-gochive: " + why)}
		}
	}
	return nil
}

const noRule = "its archives are of no rule"

func (l *archiveLsCmd) foreign(ctx context.Context, c *cli, out stdio) error {
	if err := notOf(noRule, given{"--rule", len(l.Rule) > 0}); err != nil {
		return err
	}
	o, err := l.loadAny(c, out)
	if err != nil {
		return err
	}
	place := app.ForeignPlace{URL: l.FromGochive, Namespace: l.Namespace}
	objects, others, err := app.ForeignList(ctx, o, place)
	if err != nil {
		return err
	}
	older := 0
	if l.Limit > 0 && len(objects) > l.Limit {
		older = len(objects) - l.Limit
		objects = objects[older:]
	}
	if !l.Packs {
		return tell(out, l.JSON, objects, foreignListText(objects, older, others))
	}
	return l.foreignRead(ctx, o, out, objects, older, others)
}

// foreignRead lists objects with what is in them.
func (l *archiveLsCmd) foreignRead(ctx context.Context, o app.ArchiveOptions, out stdio, objects []app.ForeignObject, older, others int) error {
	all := []app.ForeignChecked{}
	for _, one := range objects {
		place := app.ForeignPlace{URL: l.FromGochive, Object: one.Key}
		if _, err := app.ForeignVerify(ctx, o, place, func(c app.ForeignChecked) error {
			all = append(all, c)
			return nil
		}); err != nil {
			return err
		}
	}
	return tell(out, l.JSON, all, foreignReadText(all, older, others))
}

func (v *archiveVerifyCmd) foreign(ctx context.Context, c *cli, out stdio) error {
	if err := notOf(noRule, given{"--rule", len(v.Rule) > 0}); err != nil {
		return err
	}
	o, err := v.loadAny(c, out)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out.out)
	place := app.ForeignPlace{URL: v.FromGochive, Namespace: v.Namespace, Object: v.Pack}
	sum, err := app.ForeignVerify(ctx, o, place, func(c app.ForeignChecked) error {
		return line(w, v.JSON, c, foreignCheckedText(c))
	})
	if err == nil {
		err = line(w, v.JSON, sum, foreignSummaryText(sum))
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if sum.Damaged > 0 {
		return errDiffers
	}
	return nil
}

func (f *archiveFindCmd) foreign(c *cli, out stdio) (app.ArchiveOptions, app.ForeignPlace, error) {
	place := app.ForeignPlace{URL: f.FromGochive, Namespace: f.Namespace, Object: f.Pack, SkipDamaged: f.SkipDamaged, Thaw: f.Thaw}
	if err := errors.Join(notOf(noRule, given{"--rule", len(f.Rule) > 0}), f.noAges()); err != nil {
		return app.ArchiveOptions{}, place, err
	}
	o, err := f.loadAny(c, out)
	return o, place, err
}

// noAges refuses bounds of the age.
func (w *which) noAges() error {
	return notOf("nothing tells which field was the age; say it in --query",
		given{"--from", !w.From.IsZero()}, given{"--to", !w.To.IsZero()})
}

func (p *archiveCatCmd) foreign(ctx context.Context, c *cli, out stdio) error {
	if err := notOf(noRule, given{"--rule", len(p.Rule) > 0}); err != nil {
		return err
	}
	o, err := p.loadAny(c, out)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out.out, 1<<20)
	return errors.Join(app.ForeignCat(ctx, o, app.ForeignPlace{URL: p.FromGochive, Object: p.Pack}, w), w.Flush())
}

func (r *restoreCmd) foreign(ctx context.Context, c *cli, out stdio) error {
	if err := errors.Join(
		notOf(noRule, given{"--rule", len(r.Rule) > 0}), r.noAges(),
		notOf("go-chive kept no record of what it deleted", given{"--outcome", len(r.Outcome) > 0}),
		notOf("its archives have no hashes that would tell an older version of the live document; it is keep-live or fail",
			given{"--on-conflict replace-older", r.OnConflict == "replace-older"}),
	); err != nil {
		return err
	}
	chosen, err := r.choose()
	if err != nil {
		return err
	}
	o, err := r.loadAny(c, out)
	if err != nil {
		return err
	}
	place := app.ForeignPlace{URL: r.FromGochive, Namespace: r.Namespace, Object: r.Pack, SkipDamaged: r.SkipDamaged, Thaw: r.Thaw}
	done, err := app.ForeignRestore(ctx, o, place, app.RestoreOptions{
		ArchiveWhich: chosen, Into: r.ToNamespace, OnConflict: r.OnConflict, DryRun: r.DryRun, Limit: r.Limit, Rate: r.Rate,
	})
	if err != nil && done.Found == 0 {
		return err
	}
	if terr := tell(out, r.JSON, done, foreignRestoredText(done)); terr != nil || err != nil {
		return errors.Join(err, terr)
	}
	if done.Unreturned() > 0 || len(done.Damaged) > 0 {
		return errDiffers
	}
	return nil
}

func foreignRows(older, others int) string {
	text := ""
	if older > 0 {
		text += fmt.Sprintf("and %d older ones; --limit 0 lists all\n", older)
	}
	if others > 0 {
		text += fmt.Sprintf("%d other objects have not the name of one of go-chive's (COLLECTION_archive_DATE_TIME.tar.gz)\n", others)
	}
	return text
}

func foreignListText(objects []app.ForeignObject, older, others int) string {
	if len(objects) == 0 {
		return "no object of go-chive\n" + foreignRows(older, others)
	}
	rows := []string{"OBJECT\tCOLLECTION\tWRITTEN\tSTORED\tBYTES"}
	for _, o := range objects {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", o.Key, o.Collection, when(o.Written), when(o.Modified), size(o.Size)))
	}
	return table(rows) + foreignRows(older, others)
}

func foreignReadText(all []app.ForeignChecked, older, others int) string {
	if len(all) == 0 {
		return "no object of go-chive\n" + foreignRows(older, others)
	}
	rows := []string{"OBJECT\tCOLLECTION\tWRITTEN\tSTORED\tBYTES\tBATCHES\tDOCUMENTS\tBSON\tFAULTS"}
	for _, o := range all {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%d", o.Key, o.Collection, when(o.Written), when(o.Modified),
			size(o.Size), o.Members, o.Documents, size(o.RawBytes), len(o.Faults)))
	}
	return table(rows) + foreignRows(older, others)
}

func foreignCheckedText(c app.ForeignChecked) string {
	text := fmt.Sprintf("%s: %d documents in %d batches, %s", c.Key, c.Documents, c.Members, size(c.RawBytes))
	if len(c.Faults) == 0 {
		return "ok   " + text
	}
	for _, f := range c.Faults {
		text += "\n     " + f.String()
	}
	return "BAD  " + text
}

func foreignSummaryText(s app.ForeignSummary) string {
	text := fmt.Sprintf("%d objects with %d documents: %d with a problem\n%d keys (_id): %d of them several times with equal fields, %d several times with different ones",
		s.Objects, s.Documents, s.Damaged, s.Keys, s.Repeated, s.Differing)
	for _, e := range s.Examples {
		text += fmt.Sprintf("\n     %s differs in %s:%s, number %d", e.ID, e.Object, e.Member, e.Entry)
	}
	return strings.TrimRight(text+"\n"+foreignRows(0, s.Others), "\n") + "\n" +
		"What can't be proven: there is no manifest and no hash, so whether an object or a batch is missing, and whether the documents\n" +
		"are as they were in MongoDB. The order of fields, and all but one of fields of the same name, were lost when go-chive wrote."
}

func foreignRestoredText(r app.ForeignRestored) string {
	text := strings.Replace(restoredText(r.Restored), " packs:", " objects:", 1)
	if r.Older > 0 {
		text += fmt.Sprintf("\n%d older versions stay in the archive: of each _id the newest comes back", r.Older)
	}
	for _, f := range r.Damaged {
		text += "\nleft out: " + f.String()
	}
	return text
}
