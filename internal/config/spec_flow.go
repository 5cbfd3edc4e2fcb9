package config

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// flowSpec declares the fields of one flow.
func flowSpec(f *Flow) []field {
	return slices.Concat([]field{
		{
			Name: "name", Into: text(&f.Name), Required: true, Example: "shop",
			Doc: "Unique name; it names the position, so another name starts from nothing. " +
				"Lower-case letters, digits, `-` and `_`.",
			Check: func() error { return checkFlowName(f.Name) },
		},
		{
			Name: "namespaces", Into: texts(&f.Namespaces, checkPattern), Required: true, Flag: "--namespace",
			Example: "[shop.orders, shop.customers]",
			Doc: "What to follow: `db.collection`, `db.*` for all collections of a database, or a `/regular expression/` " +
				"that is looked for in `db.collection` (`^` and `$` bind it to the ends; `/./` is everything). Collections that come later and fit are followed as well.",
			Check: func() error { return notEmpty(f.Namespaces, "give at least one namespace") },
		},
		{
			Name: "exclude", Into: texts(&f.Exclude, checkPattern), Example: "[shop.sessions]", Flag: "--exclude",
			Doc: "What of it to leave out, written the same way.",
		},
		{
			Name: "filter", Into: filters(&f.Filters), Example: `{shop.orders: {status: {$ne: draft}}}`,
			Doc: "Queries by namespace (written as in `namespaces`): only documents that fit are in the index. " +
				"Each is a query of MongoDB, as YAML or as text in Extended JSON. The first pattern that fits a namespace counts. " +
				"A document that no longer fits leaves the index.",
		},
		{
			Name: "where", Into: filters(&f.Where), Example: `{shop.orders: {"lines.sku": {$regex: "^A"}}}`,
			Doc: "Conditions by namespace, like `filter`, but looked at here after the document was read, so that the server's work stays the same. " +
				"A document that does not fit is left out; one that no longer fits leaves the index. With both, a document has to fit both. " +
				"A condition is a part of MongoDB's queries: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $type, $and, $or, $nor, $not, $regex, $size, $all, $elemMatch, $mod.",
		},
		{
			Name: "related", Into: sections(&f.Related, relatedSpec), Example: "related: [{when: shop.customers, rewrite: shop.orders, match: {customer_id: _id}}]",
			Doc: "Documents that show others: when one of `when` changes or is deleted, those of `rewrite` that show it are read and written again, " +
				"and then those that show these. See [related.md](related.md).",
		},
		scriptsSpec(f),
	}, readSpec(f), []field{
		{
			Name: "fields", Doc: "Which fields get into the index, and how, by dotted paths. `_id` is the id of the document and no field.",
			Into: section(func() []field { return fieldsSpec(&f.Fields) }),
		},
		{
			Name: "render", Doc: "How values that JSON has no equal for are written.",
			Into: section(func() []field { return renderSpec(&f.Render) }),
		},
	}, placesSpec(f), []field{joinField(f)}, []field{
		indexesField(f),
		{
			Name: "index_prefix", Into: text(&f.IndexPrefix), Example: "prod-",
			Doc:   "Comes before the names that are made from namespaces.",
			Check: func() error { return CheckIndexName(f.IndexPrefix + "x") },
		},
		{
			Name: "data_stream", Doc: "Write to a data stream instead of an index: each document once, as it is when it comes first; updates and deletes change nothing there. " +
				"See [data-streams.md](data-streams.md).",
			Into: section(func() []field { return dataStreamSpec(&f.DataStream) }),
		},
		{
			Name: "pipeline", Into: text(&f.Pipeline), Example: "enrich",
			Doc: "Ingest pipeline of the cluster that documents go through before they are indexed. It has to leave `_id` and `_index` as they are. " +
				"One that is not there stops the flow; a document that it fails on is a dead letter. " +
				"After a change of the pipeline itself, copy again: `sluice resync`.",
			Check: func() error { return checkPipeline(f.Pipeline) },
		},
		filesField(&f.Files),
		{
			Name: "settings", Into: object(&f.Settings), Example: `{number_of_shards: 3}`,
			Doc: "Settings of the indexes that are created, as YAML or JSON text.",
		},
		{
			Name: "mappings", Into: object(&f.Mappings), Example: `{properties: {title: {type: text}}}`,
			Doc: "Mappings of the indexes that are created, as YAML or JSON text.",
		},
		{
			Name: "on", Doc: "What follows from what happens in MongoDB.",
			Into: section(func() []field { return onSpec(&f.On) }),
		},
	}, profileSpec(f))
}

func snapshotSpec(s *Snapshot) []field {
	modes := []string{"primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest"}
	return slices.Concat([]field{
		{
			Name: "enabled", Into: toggle(&s.Enabled), Default: "true",
			Doc: "`false` leaves out the copy and follows only what changes from now on.",
		},
	}, snapshotWhatSpec(s), []field{
		{
			Name: "parallel", Into: number(&s.Parallel, 1, 64), Default: "2", Example: "2",
			Doc: "Chunks that are read at one time.",
		},
		{
			Name: "rate", Into: rate(&s.Rate), Default: "0", Example: "5000", Flag: "--snapshot-rate",
			Doc: "Documents per second, at most; `0` is as fast as it goes.",
		},
		{
			Name: "read_preference", Into: choice(&s.ReadPreference, modes...), Default: "primary", Example: "secondaryPreferred",
			Doc: "Which members of the replica set the copy reads from.",
		},
		{
			Name: "chunk", Into: size(&s.Chunk, 1e6, 1<<40), Default: "64MB", Example: "64MB",
			Doc: "How much of a collection one reader takes at a time. A restart goes on inside a chunk, and repeats at most as much for each reader.",
		},
	}, snapshotOrderSpec(s))
}

func fieldsSpec(f *Fields) []field {
	return append([]field{
		{
			Name: "include", Into: texts(&f.Include, checkPath), Example: "[title, author.name]",
			Doc: "Only these fields, with all below them. Without it, all fields. Stars stand for names here and in `exclude`: " +
				"`address.*.zip`, `*_internal`; `**` for any number of levels: `**.secret`, `meta.**`.",
		},
		{
			Name: "exclude", Into: texts(&f.Exclude, checkPath), Example: "[author.email]",
			Doc: "Not these fields, nor anything below them.",
		},
		{
			Name: "rename", Into: textMap(&f.Rename, checkRename), Example: "{author.name: author.full_name}",
			Doc: "Other names: from a path to the path with another last part.",
		},
	}, transformSpec(f)...)
}

func renderSpec(r *Render) []field {
	return []field{
		{
			Name: "dates", Into: choice(&r.Dates, DatesISO8601, DatesEpochMillis), Default: "iso8601", Example: "iso8601",
			Doc: "`iso8601` writes `2024-05-01T12:00:00.000Z` (and milliseconds for years outside 0 to 9999); " +
				"`epoch_millis` always the milliseconds.",
		},
		{
			Name: "decimals", Into: choice(&r.Decimals, DecimalsString, DecimalsNumber), Default: "string", Example: "string",
			Doc: "Decimal128 as text, which keeps all 34 digits, or as a number.",
		},
		{
			Name: "non_finite", Into: choice(&r.NonFinite, NonFiniteNull, NonFiniteString, NonFiniteRemove, NonFiniteReject), Default: "null", Example: "string",
			Doc: "NaN and the infinities as null or as text; `remove` leaves the field, or the element of an array, out; `reject` makes the document a dead letter. " +
				"With `profile: monstache`: `reject` (its default) or `remove`, which also hold for dates outside of the years 0 to 9999.",
		},
		{
			Name: "bad_names", Into: choice(&r.BadNames, BadNamesRepair, BadNamesReject), Default: "repair", Example: "repair",
			Doc: "Field names that an index can't hold (empty, dots at an end, …): `repair` them, or `reject` " +
				"the document, which then is a dead letter.",
		},
	}
}

func onSpec(o *On) []field {
	return []field{
		{
			Name: "delete", Into: choice(&o.Delete, DeleteRemove, DeleteKeep, DeleteMark), Default: "remove", Example: "remove",
			Doc: "A document was deleted: `remove` it from the index, `keep` it, or keep it and `mark` it as deleted.",
		},
		{
			Name: "archive", Into: choice(&o.Archive, ArchiveRemove, ArchiveKeep, ArchiveMark), Default: "remove", Example: "mark",
			Doc: "The archive deleted a document: `remove` it from the index, `keep` it, or keep it and `mark` it with " +
				"`archived: {at, rule, object}`. What a user deletes follows `delete`.",
		},
		{
			Name: "drop", Into: choice(&o.Drop, DropIgnore, DropDocuments, DropIndex), Default: "delete_documents",
			Example: "delete_documents",
			Doc:     "A collection was dropped: `ignore` that, `delete_documents` of it, or `delete_index`.",
		},
		{
			Name: "history_lost", Into: choice(&o.HistoryLost, LostResync, LostStop), Default: "resync", Example: "resync",
			Doc: "The oplog no longer reaches back to where we were: `resync` copies the collections again and removes " +
				"what is gone; `stop` stops with an error.",
		},
	}
}

// flowNames is what a name of a flow looks like: it also names files.
const flowNames = `^[a-z0-9][a-z0-9_-]{0,62}$`

func checkFlowName(s string) error {
	if !regexp.MustCompile(flowNames).MatchString(s) {
		return errors.New("wants 1 to 63 lower-case letters, digits, - and _, with a letter or digit first")
	}
	return nil
}

// checkPattern looks at one entry of namespaces.
func checkPattern(s string) error {
	if isRegexp(s) {
		if _, err := regexpOf(s); err != nil {
			var bad *syntax.Error
			if errors.As(err, &bad) {
				return errors.New("no valid regular expression: " + bad.Code.String())
			}
			return errors.New("no valid regular expression")
		}
		return nil
	}
	db, coll, ok := strings.Cut(s, ".")
	switch {
	case !ok || db == "" || coll == "":
		return errors.New("wants db.collection, db.* or /regular expression/")
	case strings.ContainsAny(db, "/\\ \"$*<>:|?\x00"):
		return errors.New("the name of a database can't hold / \\ \" $ * < > : | ? or a space")
	case len(db) > 63:
		return errors.New("the name of a database has at most 63 bytes")
	case slices.Contains([]string{"admin", "local", "config", "sluice"}, db):
		return errors.New("admin, local, config and sluice hold no user's data and can't be followed")
	case strings.HasPrefix(coll, "system."), strings.HasPrefix(coll, "tmp.agg_out."):
		return errors.New("the server's own collections can't be followed")
	case coll != "*" && strings.Contains(coll, "*"):
		return errors.New("* stands only for all collections of a database, as in shop.*; for more write /regular expression/")
	case strings.ContainsAny(coll, "$\x00"):
		return errors.New("the name of a collection can't hold $")
	}
	return nil
}

// isRegexp tells whether a pattern is written as a regular expression.
func isRegexp(pattern string) bool {
	return len(pattern) > 2 && pattern[0] == '/' && pattern[len(pattern)-1] == '/'
}

// regexpOf compiles the regular expression of a pattern. It is looked for in the
// namespace, as the source and the archive do.
func regexpOf(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile(pattern[1 : len(pattern)-1])
}

// isPlain tells whether a pattern that passed checkPattern names one collection.
func isPlain(pattern string) bool {
	return !isRegexp(pattern) && !strings.HasSuffix(pattern, ".*")
}

// fits tells whether a pattern that passed checkPattern covers the namespace.
func fits(pattern, ns string) bool {
	if isRegexp(pattern) {
		re, err := regexpOf(pattern)
		return err == nil && re.MatchString(ns)
	}
	if db, all := strings.CutSuffix(pattern, ".*"); all {
		return strings.HasPrefix(ns, db+".")
	}
	return pattern == ns
}

// Follows tells whether the flow follows the namespace "db.collection".
func (f *Flow) Follows(ns string) bool {
	covers := func(p string) bool { return fits(p, ns) }
	return slices.ContainsFunc(f.Namespaces, covers) && !slices.ContainsFunc(f.Exclude, covers)
}

// checkPath looks at a dotted path of a field.
func checkPath(s string) error {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" {
			return errors.New("wants a path such as author.name, without empty parts")
		}
	}
	if s == "_id" {
		return errors.New("_id is the id of the document in the index, and no field of it")
	}
	return nil
}

func checkRename(from, to string) error {
	if err := checkPath(from); err != nil {
		return err
	}
	if err := checkPath(to); err != nil {
		return fmt.Errorf("the new name %w", err)
	}
	if from == to {
		return errors.New("the new name is the old one")
	}
	return nil
}
