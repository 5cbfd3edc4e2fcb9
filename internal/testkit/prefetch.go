package testkit

import (
	"context"
	"errors"
	"fmt"
)

// Prefetch fills the cache, so that later starts fetch nothing: mongod, the
// S3 server and the default search engine, or with all every engine of Versions. It returns one
// line per thing that is there now; the error joins what could not be had.
func Prefetch(ctx context.Context, all bool) ([]string, error) {
	var have []string
	var errs []error
	if m, err := findMongod(ctx); err != nil {
		errs = append(errs, err)
	} else {
		have = append(have, fmt.Sprintf("mongod from %s: %s%s", m.origin, m.path, m.image))
	}
	if path, origin, err := findS3(ctx); err != nil {
		errs = append(errs, err)
	} else {
		have = append(have, fmt.Sprintf("%s from %s: %s", s3Version, origin, path))
	}
	wanted := []SearchOptions{{}, {Attachment: true}}
	if all {
		wanted = wanted[1:]
		for _, v := range Versions() {
			wanted = append(wanted, SearchOptions{Product: v[0], Version: v[1]})
		}
	}
	for _, o := range wanted {
		e, err := findEngine(ctx, o)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		have = append(have, fmt.Sprintf("%s from %s: %s%s", e.dist, e.origin, e.home, e.image))
	}
	return have, errors.Join(errs...)
}
