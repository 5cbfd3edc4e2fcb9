package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo/archivedb"
	"sluice/internal/objstore"
)

func (o *ArchiveOptions) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// openDB connects to MongoDB's side of the archive.
func (o *ArchiveOptions) openDB(ctx context.Context) (*archivedb.DB, error) {
	return archivedb.Open(ctx, archivedb.Options{
		URI: o.Config.MongoDB.URI.Reveal(), AppName: "sluice " + Version, Logger: o.logger(),
	})
}

// rules returns the configured rules that are chosen; one that is not there is
// an error.
func (o *ArchiveOptions) rules() ([]*config.Archive, error) {
	var all []*config.Archive
	var names []string
	for i := range o.Config.Archive {
		a := &o.Config.Archive[i]
		names = append(names, a.Name)
		if len(o.Rules) == 0 || slices.Contains(o.Rules, a.Name) {
			all = append(all, a)
		}
	}
	for _, name := range o.Rules {
		if !slices.Contains(names, name) {
			return nil, &flow.Error{
				Op: "find the rule", Object: name, Class: flow.Config, Err: errors.New("the configuration has no such rule"),
				Hint: "it has " + strings.Join(names, ", "),
			}
		}
	}
	return all, nil
}

// chosen tells whether packs of the rule are asked for.
func (o *ArchiveOptions) chosen(rule string) bool {
	return len(o.Rules) == 0 || slices.Contains(o.Rules, rule)
}

// openPlace opens the place of packs, with retries; closePlace releases it.
func openPlace(ctx context.Context, cfg *config.Config, place string) (objstore.Store, error) {
	store, err := objstore.Open(ctx, place, reachS3(cfg.S3))
	if err != nil {
		return nil, err
	}
	return objstore.WithRetry(store, objstore.RetryOptions{}), nil
}

// reachS3 says how object storage is reached.
func reachS3(s config.S3) objstore.S3Options {
	return objstore.S3Options{
		Region: s.Region, Endpoint: s.Endpoint, PathStyle: s.PathStyle, CAFile: s.CAFile, Checksums: string(s.Checksums),
		AccessKey: s.AccessKey.Reveal(), SecretKey: s.SecretKey.Reveal(), SessionToken: s.SessionToken.Reveal(),
		PartBytes: int64(s.PartSize),
	}
}

// closePlace releases what a store holds.
func closePlace(s objstore.Store) error {
	if c, ok := objstore.As[io.Closer](s); ok {
		return c.Close()
	}
	return nil
}

// ruleNamespaces returns the collections of a rule: those that MongoDB has and
// that fit the rule as a whole.
func ruleNamespaces(ctx context.Context, db *archivedb.DB, a *config.Archive) ([]flow.Namespace, error) {
	found, err := db.Namespaces(ctx, a.Namespace)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", a.Name, err)
	}
	return slices.DeleteFunc(found, func(ns flow.Namespace) bool { return !a.Covers(ns.String()) }), nil
}
