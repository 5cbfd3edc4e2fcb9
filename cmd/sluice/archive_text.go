package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/internal/app"
)

// tell prints a result, as JSON or as text.
func tell(out stdio, asJSON bool, v any, text string) error {
	if asJSON {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return err
		}
		_, err := out.out.Write(b.Bytes())
		return err
	}
	_, err := io.WriteString(out.out, strings.TrimRight(text, "\n")+"\n")
	return err
}

// encode writes a result as one line of JSON.
func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table aligns rows whose cells are separated by tabs.
func table(rows []string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	_, _ = io.WriteString(w, strings.Join(rows, "\n")+"\n")
	_ = w.Flush()
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// size writes bytes for people.
func size(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1000, 0
	for f >= 999.95 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	return fmt.Sprintf("%.1f %cB", f, units[i])
}

// when writes a time in UTC, "-" for none.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func runsText(runs []app.ArchiveRun) string {
	if len(runs) == 0 {
		return "no run"
	}
	rows := []string{"RUN\tRULE\tCOLLECTION\tSTATE\tSTARTED\tBEFORE\tPACKS\tDOCUMENTS\tBYTES\tDELETED\tCHANGED\tGONE"}
	var faults []string
	for _, r := range runs {
		state := string(r.State)
		if r.Shadow {
			state += " (shadow)"
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%d\t%d\t%d", r.ID, r.Rule, r.NS, state,
			when(r.Started), when(r.Before), r.Packs, r.Docs, size(r.Bytes), r.Deleted, r.Changed, r.Gone))
		if r.Error != "" {
			faults = append(faults, r.ID+": "+r.Error)
		}
	}
	return table(rows) + strings.Join(faults, "\n")
}

func packsText(packs []app.ArchivePack) string {
	rows := []string{"PACK\tSTATE\tAGES FROM\tTO\tDOCUMENTS\tBSON\tBYTES\tDELETED\tCHANGED\tGONE\tOBJECT"}
	for _, p := range packs {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%s\t%s\t%d\t%d\t%d\t%s", p.ID, p.State, when(p.MinAge), when(p.MaxAge),
			p.Docs, size(p.RawBytes), size(p.Bytes), p.Deleted, p.Changed, p.Gone, p.Store+"/"+p.Object))
	}
	return table(rows)
}

func listText(list []app.ArchiveRunDetail) string {
	runs := make([]app.ArchiveRun, len(list))
	var packs []app.ArchivePack
	for i, one := range list {
		runs[i] = one.Run
		packs = append(packs, one.Packs...)
	}
	text := runsText(runs)
	if len(packs) > 0 {
		text = strings.TrimRight(text, "\n") + "\n\n" + packsText(packs)
	}
	return text
}

func detailText(d app.ArchiveRunDetail) string {
	r := d.Run
	rows := []string{
		"run\t" + r.ID, "rule\t" + r.Rule, "collection\t" + r.NS, "state\t" + string(r.State),
		"field\t" + r.Field + " (" + string(r.Kind) + ")", "before\t" + when(r.Before),
		"started\t" + when(r.Started), "ended\t" + when(r.Ended),
		fmt.Sprintf("documents\t%d in %d packs, %s", r.Docs, r.Packs, size(r.Bytes)),
		fmt.Sprintf("outcomes\t%d deleted, %d changed (they stay), %d gone", r.Deleted, r.Changed, r.Gone),
	}
	if r.Filter != "" {
		rows = append(rows, "filter\t"+r.Filter)
	}
	if !r.Delete {
		rows = append(rows, "delete\tno, a copy only")
	}
	if r.Error != "" {
		rows = append(rows, "error\t"+r.Error)
	}
	text := table(rows)
	if len(d.Packs) > 0 {
		text += "\n" + packsText(d.Packs)
	}
	return text
}

func verifiedText(r app.ArchiveVerified) string {
	if r.Garbage {
		return "note " + r.Store + "/" + r.Object + ": " + r.Problem
	}
	if r.Problem != "" {
		return "BAD  " + r.Store + "/" + r.Object + ": " + r.Problem
	}
	return fmt.Sprintf("ok   %s/%s: %d documents, %s", r.Store, r.Object, r.Docs, size(r.Bytes))
}

func forgottenText(f app.ArchiveForgotten, dryRun bool) string {
	did := "erased"
	if dryRun {
		did = "to be erased"
	}
	text := fmt.Sprintf("%d documents %s, in %d packs", f.Documents, did, f.Packs)
	for _, one := range f.Audit {
		text += "\nrecorded in " + one
	}
	for _, one := range f.Unreached {
		text += "\nnot reached: " + one
	}
	return text
}

func removedText(all []app.ArchiveGarbage, dryRun bool) string {
	did := "removed"
	if dryRun {
		did = "to be removed"
	}
	var rows []string
	var bytes int64
	for _, g := range all {
		bytes += g.Bytes
		rows = append(rows, fmt.Sprintf("%s/%s\t%s\t%s", g.Store, g.Object, size(g.Bytes), g.Why))
	}
	rows = append(rows, fmt.Sprintf("%d objects %s, %s", len(all), did, size(bytes)))
	return table(rows)
}

func restoredText(r app.Restored) string {
	did := "came back"
	if r.DryRun {
		did = "would come back"
	}
	text := fmt.Sprintf("%d documents found in %d packs: %d %s, %d replaced, %d were live already, %d conflicts, %d duplicates, %d refused",
		r.Found, r.Packs, r.Inserted, did, r.Replaced, r.Equal, r.Conflicts, r.Duplicates, r.Refused)
	if r.Resumed {
		text += fmt.Sprintf("\n%d documents were done by an earlier run of the same restore", r.Skipped)
	}
	for _, one := range r.Left {
		text += "\nnot made as it was: " + one
	}
	for _, x := range r.Troubles {
		text += fmt.Sprintf("\n%s %s: %s", x.NS, x.ID, x.Returned)
		if x.Index != "" {
			text += " by the index " + x.Index
		}
		if x.Reason != "" {
			text += ": " + x.Reason
		}
		text += " (" + x.Pack + ")"
	}
	return text
}
