package archive

import (
	"context"
	"fmt"
	"math"
	"time"

	"sluice/internal/cold"
	"sluice/internal/governor"
)

// PlanResult is what a run would do, and why it may not (rule A6).
type PlanResult struct {
	Rule string `json:"rule"`
	NS   string `json:"namespace"`
	// From (the mark), Floor and Before bound the age of what is old.
	From   time.Time `json:"from,omitzero"`
	Floor  time.Time `json:"floor,omitzero"`
	Before time.Time `json:"before"`
	// Count is the number of documents, Bytes an estimate of their BSON.
	Count int64 `json:"count"`
	Bytes int64 `json:"bytes"`
	// Share of the collection, 0 to 1.
	Share float64 `json:"share"`
	// Index that is read by, and how many of its keys are looked at for each
	// document that is returned.
	Index string  `json:"index,omitempty"`
	Ratio float64 `json:"examined_per_returned,omitempty"`
	// Objects, ObjectBytes and Took are estimates.
	Objects     int64         `json:"objects"`
	ObjectBytes int64         `json:"object_bytes"`
	Took        time.Duration `json:"estimated_ns"`
	Cost        Cost          `json:"cost"`
	// Transactions: the delete compares in transactions.
	Transactions bool        `json:"transactions"`
	Survey       cold.Survey `json:"survey"`
	Refusals     []Refusal   `json:"refusals,omitempty"`
	Warnings     []string    `json:"warnings,omitempty"`
}

// Cost is an estimate by the list prices of S3 in us-east-1.
type Cost struct {
	Requests    int64   `json:"requests"`
	UploadUSD   float64 `json:"upload_usd"`
	USDPerMonth float64 `json:"usd_per_month"`
}

// Refused tells whether the plan may not be run.
func (p PlanResult) Refused() bool { return len(p.Refusals) > 0 }

// What an estimate takes for granted where the rule says nothing: how well BSON
// is compressed, how fast a quiet server gives and deletes documents.
const (
	guessRatio  = 0.3
	guessDocs   = 15_000   // per second, with the delete
	guessBytes  = 30 << 20 // per second
	putUSD      = 0.005e-3 // per request
	gigabyte    = 1_000_000_000
	partRequest = 16 << 20 // bytes of a part of an upload
)

// Plan says what Run would do. It changes nothing and needs no lease.
func (r *Runner) Plan(ctx context.Context, rule Rule) (PlanResult, error) {
	rule.fill()
	now, _, err := r.deps.DB.ServerTime(ctx)
	if err != nil {
		return PlanResult{}, err
	}
	var mark time.Time
	if rule.marked() {
		if mark, err = r.deps.DB.Mark(ctx, rule.markName(), rule.NS.String()); err != nil {
			return PlanResult{}, err
		}
	}
	sel := bounded(rule, now, mark)
	s, err := r.deps.DB.Survey(ctx, sel)
	if err != nil {
		return PlanResult{}, err
	}
	return assess(rule, sel, s, r.deps), nil
}

// bounded is the selection above the mark; it is empty, and never inverted,
// where all was committed before: what is left then had changed.
func bounded(rule Rule, now, mark time.Time) cold.Selection {
	sel := rule.selection(now, mark)
	if mark.After(sel.Before) {
		sel.From = sel.Before
	}
	return sel
}

// assess makes the plan out of what the server says.
func assess(rule Rule, sel cold.Selection, s cold.Survey, d Deps) PlanResult {
	p := PlanResult{
		Rule: rule.Name, NS: rule.NS.String(), From: sel.From, Floor: sel.Floor, Before: sel.Before,
		Count: s.Count, Index: s.Index, Survey: s, Transactions: s.Transactions && !rule.WithoutTransactions,
	}
	if s.Total > 0 {
		p.Bytes = int64(float64(s.TotalBytes) / float64(s.Total) * float64(s.Count))
		p.Share = float64(s.Count) / float64(s.Total)
	}
	if s.Returned > 0 {
		p.Ratio = float64(s.Examined) / float64(s.Returned)
	}
	p.ObjectBytes = int64(float64(p.Bytes) * guessRatio)
	if p.Count > 0 {
		bySize := math.Ceil(float64(p.ObjectBytes) / float64(rule.PackBytes))
		byDocs := math.Ceil(float64(p.Count) / float64(rule.PackDocs))
		p.Objects = int64(max(bySize, byDocs, 1))
	}
	p.Took = estimate(p, d.Governor)
	p.Cost = cost(p, rule)
	p.Refusals = refusals(rule, sel, s)
	p.Warnings = warnings(rule, p, s)
	return p
}

func estimate(p PlanResult, g *governor.Governor) time.Duration {
	docs, bytes := float64(guessDocs), float64(guessBytes)
	if g != nil {
		docsCeiling, bytesCeiling := g.Ceilings()
		if docsCeiling > 0 {
			docs = min(docs, docsCeiling)
		}
		if bytesCeiling > 0 {
			bytes = min(bytes, bytesCeiling)
		}
	}
	seconds := max(float64(p.Count)/docs, float64(p.Bytes)/bytes)
	return time.Duration(min(seconds, 1e9) * float64(time.Second)).Round(time.Millisecond)
}

// cost counts the object in its parts, the manifest and the outcome.
func cost(p PlanResult, rule Rule) Cost {
	month := map[string]float64{
		"": 0.023, "STANDARD": 0.023, "STANDARD_IA": 0.0125, "ONEZONE_IA": 0.01, "INTELLIGENT_TIERING": 0.023,
		"GLACIER_IR": 0.004, "GLACIER": 0.0036, "DEEP_ARCHIVE": 0.00099,
	}
	c := Cost{Requests: p.Objects*3 + p.ObjectBytes/partRequest}
	c.UploadUSD = float64(c.Requests) * putUSD
	c.USDPerMonth = float64(p.ObjectBytes) / gigabyte * month[rule.StorageClass]
	return c
}

func warnings(rule Rule, p PlanResult, s cold.Survey) []string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if p.Ratio >= 10 {
		add("the index %s looks at %.0f keys for each document: one on {%s: 1, _id: 1} that fits the filter reads less", p.Index, p.Ratio, rule.Field)
	}
	if n := s.Census["missing"] + s.Census["null"]; n > 0 {
		add("of %d documents that were looked at, %d have no %s: they are never archived", s.CensusOf, n, rule.Field)
	}
	if s.Clustered {
		add("the collection is clustered: its indexes on %s are secondary ones, and reads by them are slower", rule.Field)
	}
	if !p.Transactions && rule.Delete && !rule.Shadow {
		add("deletes compare without transactions: a change of a number's type alone (1 to 1.0) is not seen")
	}
	if s.Sharded {
		add("the collection is sharded: this was not proven on a real cluster")
	}
	if rule.AllowMixed && len(wrongTypes(rule.Kind, s)) > 0 {
		add("documents whose %s is no %s stay: %s", rule.Field, rule.Kind, census(s))
	}
	return w
}
