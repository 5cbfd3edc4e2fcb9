package main

import (
	"context"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/transcode"
	"sluice/internal/transcode/shapes"
)

// transformLooks is how often the two plans take turns: a difference of 2 % is
// to be told from noise.
const transformLooks = 16

// transform compares plans that change fields with the plan that changes none,
// on orders (medium) and on wide documents.
func (b *bench) transform(ctx context.Context) error {
	untouched := transcode.Fields{
		Exclude: []string{"secret", "internal.notes"}, Rename: map[string]string{"fullname": "full_name"},
		Cast: map[string]transcode.CastType{"amount": transcode.CastDouble}, Flatten: []string{"payload"},
	}
	touched := map[string]transcode.Fields{
		"medium": {
			Include: []string{"customer", "lines.sku", "lines.quantity", "lines.price", "payment", "history", "tags"},
			Rename:  map[string]string{"customer.name": "customer.full_name", "lines.sku": "lines.article"},
			Cast:    map[string]transcode.CastType{"lines.quantity": transcode.CastString, "lines.price": transcode.CastString, "payment.at": transcode.CastLong},
		},
	}
	for _, k := range shapes.All() {
		if k.Name == "large" { // a few long texts: no field to speak of
			continue
		}
		ratio, err := compared(ctx, k, untouched)
		if err != nil {
			return err
		}
		b.atMost("transform, "+k.Name+": cost of rules that touch no field of the document", ratio, 1.02, "of the CPU without any rule")
		fields, some := touched[k.Name]
		if !some {
			continue
		}
		if ratio, err = compared(ctx, k, fields); err != nil {
			return err
		}
		b.atMost("transform, "+k.Name+": include, rename and cast together", ratio, 3, "of the CPU without any rule")
	}
	return nil
}

// compared returns what a plan with rules costs by what the plain one does.
func compared(ctx context.Context, k shapes.Shape, f transcode.Fields) (float64, error) {
	docs := make([]bson.Raw, 200)
	for i := range docs {
		docs[i] = k.Make(i)
	}
	var st transcode.Stats
	buf := make([]byte, 0, 1<<20)
	with := func(f transcode.Fields) (func(int) error, error) {
		plan, err := transcode.Compile(transcode.Options{}, f)
		return func(i int) (err error) {
			buf, err = plan.Append(buf[:0], docs[i%len(docs)], &st)
			return err
		}, err
	}
	plain, err := with(transcode.Fields{})
	if err != nil {
		return 0, err
	}
	ruled, err := with(f)
	if err != nil {
		return 0, err
	}
	base, cost := math.Inf(1), math.Inf(1)
	for range transformLooks {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		one, err := costOf(plain)
		if err != nil {
			return 0, err
		}
		other, err := costOf(ruled)
		if err != nil {
			return 0, err
		}
		base, cost = min(base, one), min(cost, other)
	}
	return cost / base, nil
}
