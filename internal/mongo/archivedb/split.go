package archivedb

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/cold"
)

const (
	// splitSample is how many documents a large collection is judged by.
	splitSample = 10_000
	// perRange is how many of them a range wants, to be about equal.
	perRange = 30
)

// Split cuts sel into at most n ranges by age, with about the same number of
// documents each, whatever the rule's filter finds in them. They come by age,
// cover exactly sel, and don't overlap: the first begins where sel does, the
// last ends where it does. Fewer come back when few ages are there, and one
// alone when no index can tell.
func (db *DB) Split(ctx context.Context, sel cold.Selection, n int) ([]cold.Bounds, error) {
	whole := []cold.Bounds{{}}
	if n <= 1 {
		return whole, nil
	}
	sh, err := db.shapeOf(ctx, sel)
	if err != nil || sh.choice.name == "" {
		return whole, err
	}
	total, _, err := db.totals(ctx, sel.NS)
	if err != nil {
		return nil, err
	}
	q := question{db: db, sel: sel, hint: sh.choice.hint()}
	var cuts []time.Time
	if total > smallDocs {
		if cuts, err = q.cutSample(ctx, n); err != nil {
			return nil, err
		}
	}
	if cuts == nil {
		if cuts, err = q.cutSteps(ctx, n); err != nil {
			return nil, err
		}
	}
	return between(sel, cuts), nil
}

// between makes ranges of the times between them.
func between(sel cold.Selection, cuts []time.Time) []cold.Bounds {
	slices.SortFunc(cuts, time.Time.Compare)
	from, bounded := lowest(sel, cold.Bounds{})
	var all []cold.Bounds
	var last time.Time
	for _, c := range cuts {
		inside := c.Before(sel.Before) && (!bounded || c.After(from)) && !c.IsZero()
		if inside && (last.IsZero() || c.After(last)) {
			all = append(all, cold.Bounds{From: last, Before: c})
			last = c
		}
	}
	return append(all, cold.Bounds{From: last})
}

// cutSample cuts by a sample of the whole collection; nil if too little of it
// is old.
func (q question) cutSample(ctx context.Context, n int) ([]time.Time, error) {
	docs, err := q.aggregate(ctx, "take a sample of", nil,
		bson.D{{Key: "$sample", Value: bson.D{{Key: "size", Value: splitSample}}}},
		bson.D{{Key: "$match", Value: predicate(q.sel, cold.Bounds{})}},
		bson.D{{Key: "$project", Value: bson.D{{Key: q.sel.Field, Value: 1}}}})
	if err != nil || len(docs) < n*perRange {
		return nil, err
	}
	ages := q.ages(docs)
	slices.SortFunc(ages, time.Time.Compare)
	var cuts []time.Time
	for i := 1; i < n && len(ages) > 0; i++ {
		cuts = append(cuts, ages[i*len(ages)/n])
	}
	return cuts, nil
}

func (q question) ages(docs []bson.Raw) []time.Time {
	ages := make([]time.Time, 0, len(docs))
	for _, d := range docs {
		if t, ok := belongs(d, q.sel, cold.Bounds{}); ok {
			ages = append(ages, t)
		}
	}
	return ages
}

// cutSteps counts, and steps over the index from cut to cut.
func (q question) cutSteps(ctx context.Context, n int) ([]time.Time, error) {
	count, err := q.countOf(ctx, predicate(q.sel, cold.Bounds{}))
	if err != nil || count == 0 {
		return nil, err
	}
	stride := (count + int64(n) - 1) / int64(n)
	project := bson.D{{Key: q.sel.Field, Value: 1}}
	if q.sel.Field != "_id" {
		project = append(project, bson.E{Key: "_id", Value: 0}) // the index alone has it all
	}
	var cuts []time.Time
	var b cold.Bounds
	for len(cuts) < n-1 {
		docs, err := q.aggregate(ctx, "find ranges of", q.hint,
			bson.D{{Key: "$match", Value: predicate(q.sel, b)}},
			bson.D{{Key: "$sort", Value: bson.D{{Key: q.sel.Field, Value: 1}}}},
			bson.D{{Key: "$skip", Value: stride}},
			bson.D{{Key: "$limit", Value: 1}},
			bson.D{{Key: "$project", Value: project}})
		if err != nil {
			return nil, err
		}
		ages := q.ages(docs)
		if len(ages) == 0 {
			break
		}
		cut := ages[0]
		if !cut.After(b.From) {
			// One age fills more than a range: it ends with the next age.
			cut = b.From.Add(step(q.sel.Kind))
		}
		cuts = append(cuts, cut)
		b.From = cut
	}
	return cuts, nil
}

// step is the least distance of two ages.
func step(k cold.AgeKind) time.Duration {
	switch k {
	case cold.AgeObjectID:
		return time.Second
	case cold.AgeDate:
		return time.Millisecond
	case cold.AgeSeconds, cold.AgeMillis, cold.AgeMicros, cold.AgeNanos:
	}
	return time.Nanosecond
}
