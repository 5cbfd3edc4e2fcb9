package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/internal/app"
)

func plansText(plans []app.ArchivePlanned) string {
	if len(plans) == 0 {
		return "no collection fits the rules"
	}
	parts := make([]string, len(plans))
	for i, p := range plans {
		parts[i] = planText(p)
	}
	return strings.Join(parts, "\n")
}

func planText(p app.ArchivePlanned) string {
	verdict := "can run"
	if p.Refused() {
		verdict = "REFUSED"
	}
	then := "is deleted from MongoDB"
	if !p.Delete {
		then = "stays in MongoDB"
	}
	rows := []string{
		"  older than\t" + p.OlderThan + ", that is before " + when(p.Before),
		fmt.Sprintf("  documents\t%d of %d (%.1f %%), about %s of BSON", p.Count, p.Survey.Total, 100*p.Share, size(p.Bytes)),
	}
	if !p.Survey.Oldest.IsZero() {
		rows = append(rows, "  ages\t"+when(p.Survey.Oldest)+" to "+when(p.Survey.Newest))
	}
	if p.Index != "" {
		rows = append(rows, fmt.Sprintf("  index\t%s, %.1f keys looked at per document", p.Index, p.Ratio))
	}
	if len(p.Survey.Census) > 0 {
		rows = append(rows, "  types\t"+censusText(p))
	}
	if !p.Floor.IsZero() {
		rows = append(rows, "  floor\t"+when(p.Floor))
	}
	if !p.From.IsZero() {
		rows = append(rows, "  from\t"+when(p.From)+" on: what is older was archived")
	}
	rows = append(rows,
		fmt.Sprintf("  objects\tabout %d with %s in %s; what is there %s", p.Objects, size(p.ObjectBytes), p.To, then),
		fmt.Sprintf("  time\tabout %s on a quiet server", p.Took.Round(100*time.Millisecond)))
	if strings.HasPrefix(p.To, "s3:") {
		rows = append(rows, fmt.Sprintf("  cost\tby the list prices of AWS about %.4f USD for %d requests, and %.4f USD per month",
			p.Cost.UploadUSD, p.Cost.Requests, p.Cost.USDPerMonth))
	}
	for _, w := range p.Warnings {
		rows = append(rows, "  warning\t"+w)
	}
	for _, r := range p.Refusals {
		rows = append(rows, "  refused\t"+r.What, "  cure\t"+r.Cure)
	}
	return fmt.Sprintf("rule %s on %s: %s\n", p.Rule, p.NS, verdict) + table(rows)
}

// censusText counts the types of the field, the most frequent first.
func censusText(p app.ArchivePlanned) string {
	c := p.Survey.Census
	names := slices.SortedFunc(maps.Keys(c), func(a, b string) int {
		if c[a] != c[b] {
			return int(max(-1, min(1, c[b]-c[a])))
		}
		return strings.Compare(a, b)
	})
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, c[n])
	}
	return strings.Join(names, ", ") + fmt.Sprintf(" (of %d looked at)", p.Survey.CensusOf)
}

func reportsText(reports []app.ArchiveReport) string {
	if len(reports) == 0 {
		return "no collection fits the rules"
	}
	rows := []string{"RULE\tCOLLECTION\tRUN\tSTATE\tPACKS\tDOCUMENTS\tBYTES\tDELETED\tCHANGED\tGONE\tHELD\tSKIPPED"}
	var faults []string
	for _, r := range reports {
		id, state := "-", "nothing to do"
		var packs int
		var docs, bytes int64
		if r.Run != nil {
			id, state, packs, docs, bytes = r.Run.ID, string(r.Run.State), r.Run.Packs, r.Run.Docs, r.Run.Bytes
		}
		if r.Error != "" {
			if r.Run == nil {
				state = "failed"
			}
			if r.Plan.Refused() {
				state = "refused"
			}
			faults = append(faults, r.Error)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%s\t%d\t%d\t%d\t%d\t%d", r.Rule, r.NS, id, state,
			packs, docs, size(bytes), r.Deleted, r.Changed, r.Gone, r.Held, r.Skipped))
	}
	return table(rows) + strings.Join(faults, "\n")
}
