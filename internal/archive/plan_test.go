package archive

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// conflict is a collection or a rule that is refused.
type conflict struct {
	survey func(*cold.Survey)
	rule   func(*Rule)
	code   string
	what   string
	cure   string
	fixed  func(*Rule) // what the user may set instead
}

// ofCollection are conflicts of what a collection is and of times.
func ofCollection() map[string]conflict {
	return map[string]conflict{
		"no collection": {
			survey: func(s *cold.Survey) { s.Kind = cold.KindMissing },
			code:   RefuseMissing, what: "no collection shop.orders", cure: "spelling",
		},
		"view": {
			survey: func(s *cold.Survey) { s.Kind = cold.KindView },
			code:   RefuseKind, what: "is a view", cure: "the collection that the view is made of",
		},
		"time series": {
			survey: func(s *cold.Survey) { s.Kind = cold.KindTimeSeries },
			code:   RefuseKind, what: "time series", cure: "expireAfterSeconds",
		},
		"capped": {
			survey: func(s *cold.Survey) { s.Kind = cold.KindCapped },
			code:   RefuseKind, what: "capped", cure: "Copy it into a normal collection",
		},
		"encrypted": {
			survey: func(s *cold.Survey) { s.Encrypted = true },
			code:   RefuseEncrypted, what: "queryable encryption", cure: "another collection",
		},
		"no index": {
			survey: func(s *cold.Survey) { s.Index = "" },
			code:   RefuseNoIndex, what: "no index", cure: `createIndex({"at": 1, _id: 1})`,
		},
		"future": {
			rule: func(r *Rule) { r.Cutoff = func(now time.Time) time.Time { return now.Add(time.Hour) } },
			code: RefuseFuture, what: "not in the past", cure: "positive",
		},
		"now": {
			rule: func(r *Rule) { r.Cutoff = func(now time.Time) time.Time { return now } },
			code: RefuseFuture, what: "not in the past", cure: "positive",
		},
		"minimum age": {
			rule: func(r *Rule) { r.MinAge = 200 * time.Hour },
			code: RefuseMinAge, what: "minimum age of 200h", cure: "Raise older_than",
			fixed: func(r *Rule) { r.MinAge = 100 * time.Hour },
		},
		"ttl": {
			survey: func(s *cold.Survey) { s.TTL = []string{"at_ttl"} },
			code:   RefuseTTL, what: "TTL index at_ttl", cure: `dropIndex("at_ttl")`,
		},
	}
}

// ofDocuments are conflicts of what is in a collection, and of its deployment.
func ofDocuments() map[string]conflict {
	return map[string]conflict{
		"strings": {
			survey: func(s *cold.Survey) { s.Census, s.CensusOf = map[string]int64{"date": 7, "string": 2}, 9 },
			code:   RefuseTypes, what: "of 9: date 7, string 2", cure: `{$type: ["string"]}`,
			fixed: func(r *Rule) { r.AllowMixed = true },
		},
		"numbers for dates": {
			survey: func(s *cold.Survey) { s.Census, s.CensusOf = map[string]int64{"long": 9}, 9 },
			code:   RefuseTypes, what: "of 9: long 9", cure: "another kind of field",
			fixed: func(r *Rule) { r.Kind = cold.AgeMillis },
		},
		"arrays": {
			survey: func(s *cold.Survey) { s.Census, s.CensusOf = map[string]int64{"date": 7, "array": 2}, 9 },
			code:   RefuseArrays, what: "array 2", cure: `{$type: "array"}`,
		},
		"multikey": {
			survey: func(s *cold.Survey) { s.Multikey = true },
			code:   RefuseArrays, what: "array", cure: "one value",
		},
		"sentinels": {
			survey: func(s *cold.Survey) { s.Sentinels = 3 },
			code:   RefuseSentinels, what: "in 3 documents at is before 1971", cure: "floor",
			fixed: func(r *Rule) { f := cold.SentinelBefore(); r.Floor = &f },
		},
		"share": {
			rule: func(r *Rule) { r.MaxShare = 0.5 },
			code: RefuseShare, what: "9 of 9 documents (100.0 %)", cure: "max_share",
			fixed: func(r *Rule) { r.MaxShare = 1 },
		},
		"clock ahead": {
			survey: func(s *cold.Survey) { s.Skew = 61 * time.Second },
			code:   RefuseSkew, what: "1m1s apart", cure: "NTP",
		},
		"clock behind": {
			survey: func(s *cold.Survey) { s.Skew = -2 * time.Minute },
			code:   RefuseSkew, what: "2m0s apart", cure: "NTP",
		},
		"sharded": {
			survey: func(s *cold.Survey) { s.Sharded = true },
			code:   RefuseSharded, what: "sharded", cure: "sharded: true",
			fixed: func(r *Rule) { r.Sharded = true },
		},
		"collation": {
			survey: func(s *cold.Survey) { s.Collation = true },
			rule:   func(r *Rule) { r.WithoutTransactions = true },
			code:   RefuseCollation, what: "default collation", cure: "compare: transaction",
			fixed: func(r *Rule) { r.WithoutTransactions = false },
		},
		"standalone": {
			survey: func(s *cold.Survey) { s.Transactions = false },
			code:   RefuseStandalone, what: "no transactions", cure: "compare: document",
			fixed: func(r *Rule) { r.WithoutTransactions = true },
		},
	}
}

// A6: each conflict is refused, with its cure; nothing is archived then.
func TestA6Refusals(t *testing.T) {
	all := ofCollection()
	maps.Copy(all, ofDocuments())
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(9)
				w.survey = c.survey
				p, r := w.process(t, "one", nil)
				rule := rule()
				if c.rule != nil {
					c.rule(&rule)
				}
				time.Sleep(time.Second)
				plan, err := r.Plan(t.Context(), rule)
				if err != nil {
					t.Fatal(err)
				}
				if len(plan.Refusals) != 1 || plan.Refusals[0].Code != c.code || !plan.Refused() {
					t.Fatalf("refusals %+v", plan.Refusals)
				}
				f := plan.Refusals[0]
				if !strings.Contains(f.What, c.what) || !strings.Contains(f.Cure, c.cure) {
					t.Errorf("%q, cure %q", f.What, f.Cure)
				}
				_, err = r.Run(t.Context(), rule)
				var fe *flow.Error
				if !errors.Is(err, ErrRefused) || !errors.As(err, &fe) || !strings.Contains(fe.Hint, c.cure) {
					t.Errorf("the run gave %v", err)
				}
				if len(p.writes) > 0 || len(w.ids()) != 9 {
					t.Errorf("a refused run has done %v", p.writes)
				}
				if c.fixed == nil {
					return
				}
				c.fixed(&rule)
				if plan, err := r.Plan(t.Context(), rule); err != nil || plan.Refused() {
					t.Errorf("after the cure: %v, %+v", err, plan.Refusals)
				}
			})
		})
	}
}

func TestA6PlanTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(95)
		w.survey = func(s *cold.Survey) {
			s.Total, s.TotalBytes, s.Count = 1_000_000, 2_000_000_000, 500_000
			s.Examined, s.Returned = 5000, 100
			s.Census, s.CensusOf = map[string]int64{"date": 90, "missing": 10}, 100
		}
		p, r := w.process(t, "one", nil)
		rule := rule()
		rule.PackDocs = 0
		plan, err := r.Plan(t.Context(), rule)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Count != 500_000 || plan.Bytes != 1_000_000_000 || plan.Share != 0.5 || plan.Ratio != 50 || plan.Objects != 5 ||
			plan.Took < 20*time.Second || plan.Took > 2*time.Minute || plan.Cost.USDPerMonth <= 0 || plan.Refused() {
			t.Errorf("%+v", plan)
		}
		all := strings.Join(plan.Warnings, "\n")
		for _, want := range []string{"50 keys", "10 have no at"} {
			if !strings.Contains(all, want) {
				t.Errorf("no warning tells of %q: %s", want, all)
			}
		}
		if len(p.writes) != 0 {
			t.Errorf("the plan has done %v", p.writes)
		}
		if b, err := json.Marshal(plan); err != nil || !strings.Contains(string(b), `"examined_per_returned":50`) {
			t.Errorf("%s, %v", b, err)
		}
	})
}
