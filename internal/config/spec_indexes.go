package config

import (
	"fmt"
	"maps"
	"slices"
)

// indexesField declares names of indexes by namespace.
func indexesField(f *Flow) field {
	return field{
		Name: "indexes", Into: textMap(&f.Indexes, checkIndexOf), Example: "{shop.orders: orders, shop.customers: people}",
		Doc: "Names to search under, by namespace (`db.collection`). What is not named keeps the name that is made from its namespace. " +
			"Each name is for one namespace.",
	}
}

func checkIndexOf(ns, name string) error {
	if err := checkCollection(ns); err != nil {
		return fmt.Errorf("%s: %w", ns, err)
	}
	return CheckIndexName(name)
}

// crossNamed looks at what names of indexes have to hold for this flow.
func (d *decoder) crossNamed(f *Flow, path string) {
	if len(f.Indexes) == 0 {
		return
	}
	at := path + ".indexes"
	if f.Index != "" {
		d.fail(d.places[at], at, "can't stand beside index, which is for all: keep one of them")
		return
	}
	owner := map[string]string{}
	for _, ns := range slices.Sorted(maps.Keys(f.Indexes)) {
		name := f.Indexes[ns]
		if !f.Follows(ns) {
			d.fail(d.places[at], at, "this flow doesn't follow %s%s", ns, didYouMean(ns, f.Namespaces))
		}
		other, dup := owner[name]
		listed := slices.Contains(f.Namespaces, ns) && slices.Contains(f.Namespaces, other) // those crossIndex finds
		if dup && !listed {
			d.fail(d.places[at], at, "%s and %s would share an index: give one of them another name", other, ns)
		}
		owner[name] = ns
	}
}
