package archive

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/internal/cold"
)

// The codes of refusals.
const (
	RefuseMissing    = "missing"
	RefuseKind       = "kind"
	RefuseEncrypted  = "encrypted"
	RefuseNoIndex    = "no_index"
	RefuseFuture     = "cutoff_in_future"
	RefuseMinAge     = "minimum_age"
	RefuseTTL        = "ttl_index"
	RefuseTypes      = "types"
	RefuseArrays     = "arrays"
	RefuseSentinels  = "sentinel_dates"
	RefuseShare      = "maximum_share"
	RefuseSkew       = "clock_skew"
	RefuseSharded    = "sharded"
	RefuseCollation  = "collation"
	RefuseStandalone = "no_transactions"
	maxSkew          = 60 * time.Second
)

// Refusal is a reason not to run a rule, and the cure.
type Refusal struct {
	Code string `json:"code"`
	What string `json:"what"`
	Cure string `json:"cure"`
}

// refusals lists every conflict of rule A6 that the survey shows.
func refusals(rule Rule, sel cold.Selection, s cold.Survey) []Refusal {
	if r, ok := kindRefusal(rule, s); ok {
		// Nothing else can be known of it.
		return []Refusal{r}
	}
	var all []Refusal
	for _, check := range []func(Rule, cold.Selection, cold.Survey) (Refusal, bool){
		encrypted, noIndex, future, minAge, ttl, arrays, types, sentinels, share, skew, sharded, collation, standalone,
	} {
		if r, ok := check(rule, sel, s); ok {
			all = append(all, r)
		}
	}
	return all
}

func kindRefusal(rule Rule, s cold.Survey) (Refusal, bool) {
	switch s.Kind {
	case cold.KindCollection:
		return Refusal{}, false
	case cold.KindMissing, "":
		return Refusal{
			RefuseMissing, fmt.Sprintf("there is no collection %s", rule.NS),
			"Check the spelling of the namespace (upper and lower case count), and which deployment mongodb.uri names.",
		}, true
	case cold.KindView:
		return Refusal{
			RefuseKind, fmt.Sprintf("%s is a view", rule.NS),
			"Name the collection that the view is made of, and put the condition of the view into the rule's filter.",
		}, true
	case cold.KindTimeSeries:
		return Refusal{
			RefuseKind, fmt.Sprintf("%s is a time series collection, whose documents can't be deleted one by one", rule.NS),
			"Let expireAfterSeconds of the collection remove old measurements, or keep what is to be archived in a normal collection.",
		}, true
	}
	return Refusal{
		RefuseKind, fmt.Sprintf("%s is a %s collection, whose documents can't be deleted", rule.NS, s.Kind),
		"A capped collection drops its oldest documents by itself. Copy it into a normal collection to archive it.",
	}, true
}

func encrypted(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseEncrypted, fmt.Sprintf("%s has queryable encryption, whose metadata a restore could not bring back", rule.NS),
		"Archive another collection; encrypted collections are not supported.",
	}, s.Encrypted
}

func noIndex(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseNoIndex, fmt.Sprintf("no index of %s can be used to read by %s", rule.NS, rule.Field),
		fmt.Sprintf("Create one: db.getSiblingDB(%q).getCollection(%q).createIndex({%q: 1, _id: 1})\nOr set collscan: true (-allow-collscan), if each run may look at every document.", rule.NS.DB, rule.NS.Coll, rule.Field),
	}, s.Index == "" && !rule.CollScan
}

func future(rule Rule, sel cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseFuture, fmt.Sprintf("the cutoff %s is not in the past: the server's clock says %s", stamp(sel.Before), stamp(s.ServerTime)),
		"older_than has to be a positive time, such as 92d or 6mo.",
	}, !sel.Before.Before(s.ServerTime)
}

func minAge(rule Rule, sel cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseMinAge, fmt.Sprintf("the cutoff %s is younger than the minimum age of %v", stamp(sel.Before), rule.MinAge),
		"Raise older_than, or lower min_age if documents of that age really are to go.",
	}, rule.MinAge > 0 && sel.Before.After(s.ServerTime.Add(-rule.MinAge)) && sel.Before.Before(s.ServerTime)
}

func ttl(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	cures := make([]string, len(s.TTL))
	for i, name := range s.TTL {
		cures[i] = fmt.Sprintf("db.getSiblingDB(%q).getCollection(%q).dropIndex(%q)", rule.NS.DB, rule.NS.Coll, name)
	}
	return Refusal{
		RefuseTTL, fmt.Sprintf("MongoDB deletes by the TTL index %s on %s, before or after the archive reads", strings.Join(s.TTL, ", "), rule.Field),
		"Drop it, and create one without expireAfterSeconds: " + strings.Join(cures, "; "),
	}, len(s.TTL) > 0
}

func arrays(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseArrays, fmt.Sprintf("%s is an array in some documents, or below one: it has more than one age (%s)", rule.Field, census(s)),
		fmt.Sprintf("Choose a field with one value, or keep the one that counts in a field of its own. To find them: {%q: {$type: \"array\"}}", rule.Field),
	}, s.Multikey || s.Census["array"] > 0
}

func types(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	wrong := wrongTypes(rule.Kind, s)
	quoted := make([]string, len(wrong))
	for i, t := range wrong {
		quoted[i] = fmt.Sprintf("%q", t)
	}
	return Refusal{
		RefuseTypes, fmt.Sprintf("%s is no %s in some documents, and those would never be archived (%s)", rule.Field, rule.Kind, census(s)),
		fmt.Sprintf("Convert them (to find them: {%q: {$type: [%s]}}), leave them out by the filter, choose another kind of field, or leave them where they are (mixed_types: skip).",
			rule.Field, strings.Join(quoted, ", ")),
	}, len(wrong) > 0 && !rule.AllowMixed
}

func sentinels(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseSentinels, fmt.Sprintf("in %d documents %s is before %s: such dates often stand for \"none\"",
			s.Sentinels, rule.Field, stamp(cold.SentinelBefore())),
		`Set floor: "1971-01-01T00:00:00Z" to leave them out, or an earlier floor if they really are that old.`,
	}, s.Sentinels > 0 && rule.Floor == nil
}

func share(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	part := 0.0
	if s.Total > 0 {
		part = float64(s.Count) / float64(s.Total)
	}
	return Refusal{
		RefuseShare, fmt.Sprintf("%d of %d documents (%.1f %%) are old, more than the %.1f %% that one run may take",
			s.Count, s.Total, part*100, rule.MaxShare*100),
		"If that is right (a first run often takes much), raise max_share for it; else check field, older_than and filter.",
	}, rule.MaxShare > 0 && part > rule.MaxShare
}

func skew(_ Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseSkew, fmt.Sprintf("our clock and that of the server are %v apart, more than %v", s.Skew.Abs().Round(time.Second), maxSkew),
		"Set both clocks by NTP: one of them is wrong, and so may be the age of the documents.",
	}, s.Skew.Abs() > maxSkew
}

func sharded(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseSharded, fmt.Sprintf("%s is sharded, which was not proven on a real cluster", rule.NS),
		"Set sharded: true for the rule to allow it, after a trial with shadow: true.",
	}, s.Sharded && !rule.Sharded
}

func collation(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseCollation, fmt.Sprintf("%s has a default collation, under which a comparison without transactions takes different texts for equal", rule.NS),
		"Delete in transactions (compare: transaction, on a replica set), or only copy (delete: false).",
	}, s.Collation && deletes(rule) && (!s.Transactions || rule.WithoutTransactions)
}

func standalone(rule Rule, _ cold.Selection, s cold.Survey) (Refusal, bool) {
	return Refusal{
		RefuseStandalone, "the deployment has no transactions (a standalone server), so a document can't be compared and deleted in one",
		"Make it a replica set (one member is enough), or set compare: document for the rule, with the limits that the documentation tells.",
	}, !s.Transactions && deletes(rule) && !rule.WithoutTransactions
}

func deletes(rule Rule) bool { return rule.Delete && !rule.Shadow }

// wrongTypes lists the types of the census that the kind of the field is not.
// Without a field there is no age, which is no conflict.
func wrongTypes(kind cold.AgeKind, s cold.Survey) []string {
	right := []string{"missing", "null", "array"}
	switch kind {
	case cold.AgeDate:
		right = append(right, "date")
	case cold.AgeObjectID:
		right = append(right, "objectId")
	default:
		right = append(right, "int", "long", "double")
	}
	var wrong []string
	for _, t := range slices.Sorted(maps.Keys(s.Census)) {
		if s.Census[t] > 0 && !slices.Contains(right, t) {
			wrong = append(wrong, t)
		}
	}
	return wrong
}

// census tells the types, the most frequent first.
func census(s cold.Survey) string {
	names := slices.SortedFunc(maps.Keys(s.Census), func(a, b string) int {
		if s.Census[a] != s.Census[b] {
			return int(max(min(s.Census[b]-s.Census[a], 1), -1))
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%s %d", n, s.Census[n])
	}
	return fmt.Sprintf("of %d: %s", s.CensusOf, strings.Join(parts, ", "))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
