package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const day = 24 * time.Hour

// archiveSpec declares the fields of one rule of the archive.
func archiveSpec(a *Archive) []field {
	fields := append(archiveWhat(a), archiveWhere(a)...)
	return append(fields, archiveHow(a)...)
}

// archiveWhat declares which documents a rule is for.
func archiveWhat(a *Archive) []field {
	return []field{
		{
			Name: "name", Into: text(&a.Name), Required: true, Example: "old-orders",
			Doc: "Unique name; journal, lease and the keys of the objects carry it. " +
				"Lower-case letters, digits, `-` and `_`.",
			Check: func() error { return checkFlowName(a.Name) },
		},
		{
			Name: "namespace", Into: text(&a.Namespace), Required: true, Example: "shop.orders",
			Doc: "What to archive from: `db.collection`, `db.*` for all collections of a database, or a `/regular expression/` " +
				"that is looked for in `db.collection`.",
			Check: func() error { return checkPattern(a.Namespace) },
		},
		{
			Name: "exclude", Into: texts(&a.Exclude, checkPattern), Example: "[shop.sessions]",
			Doc: "What of it to leave out, written the same way.",
		},
		{
			Name: "field", Into: text(&a.Field), Required: true, Example: "created_at",
			Waived: func() bool { return a.Kind == AgeObjectID }, Or: "kind: object_id",
			Doc:   "The dotted path of the field that tells the age. It needs an index. With `kind: object_id` it is `_id`, if not given.",
			Check: func() error { return checkAgeField(a.Field) },
		},
		{
			Name: "kind", Default: "date", Example: "epoch_ms",
			Into: choice(&a.Kind, AgeDate, AgeSeconds, AgeMillis, AgeMicros, AgeNanos, AgeObjectID),
			Doc: "What the field holds: a date, the time since 1970 in seconds, milliseconds, microseconds or nanoseconds " +
				"(as int, long or double), or an ObjectID, which tells the time at which it was made.",
		},
		{
			Name: "older_than", Into: age(&a.OlderThan), Required: true, Example: "92d",
			Doc: "The age from which on a document goes, by the clock of the server. Months and years need `timezone`.",
		},
		{
			Name: "timezone", Into: text(&a.Timezone), Example: "Europe/Berlin",
			Doc:   "The time zone of the calendar, by its IANA name. Also that of `schedule`, unless that has its own.",
			Check: func() error { return checkTimezone(a.Timezone) },
		},
		{
			Name: "filter", Into: query(&a.Filter), Example: `{status: {$in: [done, cancelled]}}`,
			Doc: "A query in addition to the age, as YAML or as text in Extended JSON: only documents that fit go.",
		},
		{
			Name: "floor", Into: floor(&a.Floor), Example: "1990-01-01",
			Doc: "Dates before this stay: they only stand for \"none\", such as 1970-01-01. Without it, a plan that finds dates before 1971 is refused. " +
				"`none` archives those as well.",
		},
	}
}

// archiveWhere declares where a rule puts its packs.
func archiveWhere(a *Archive) []field {
	onS3 := func() bool { return strings.HasPrefix(a.To, "s3:") }
	return []field{
		{
			Name: "to", Into: text(&a.To), Required: true, Example: "s3://archive/shop",
			Doc:   "Where the packs go: `s3://bucket/prefix`, or `file:///directory` with an absolute path.",
			Check: func() error { return checkTo(a.To) },
		},
		{
			Name: "storage_class", Into: text(&a.StorageClass), Example: "STANDARD_IA", When: onS3, WhenDoc: "to: s3://",
			Doc: "Storage class of the packs. Classes that can't be read at once (`GLACIER`, `DEEP_ARCHIVE`) are refused, because each pack is " +
				"read back before anything is deleted: let a lifecycle rule of the bucket move the `.bson.zst` objects there later.",
			Check: func() error { return checkStorageClass(a.StorageClass) },
		},
		{
			Name: "sse", Into: choice(&a.SSE, EncryptionAES, EncryptionKMS), Example: "aws:kms", When: onS3, WhenDoc: "to: s3://",
			Doc: "Encryption at rest by the store. Without it, that of the bucket.",
		},
		{
			Name: "kms_key", Into: text(&a.KMSKey), Example: "alias/archive",
			When: func() bool { return a.SSE == EncryptionKMS }, WhenDoc: "sse: aws:kms",
			Doc: "Key to encrypt with. Without it, the default key of the account.", Check: func() error { return notBlank(a.KMSKey) },
		},
		{
			Name: "tags", Into: textMap(&a.Tags, checkTag), Example: "{team: shop}", When: onS3, WhenDoc: "to: s3://",
			Doc: "Tags of the objects, at most ten.",
			Check: func() error {
				if len(a.Tags) > 10 {
					return errors.New("an object has at most 10 tags")
				}
				return nil
			},
		},
		{
			Name: "object_lock", Doc: "Retention of the objects. The bucket must have object lock. Until it ends nobody can delete them, and `archive forget` can't reach them.",
			When: onS3, WhenDoc: "to: s3://",
			Into: section(func() []field { return objectLockSpec(&a.ObjectLock) }),
		},
		{
			Name: "format", Into: choice(&a.Format, FormatZstd, FormatGzip), Default: "zstd", Example: "zstd",
			Doc: "Compression of the packs, which hold BSON: frames of zstd, or gzip.",
		},
		{
			Name: "pack_size", Into: size(&a.PackSize, 1e6, 1<<40), Default: "128MB", Example: "128MB",
			Doc: "The size that an object grows to, compressed, before it is closed and uploaded.",
		},
		{
			Name: "pack_wait", Into: duration(&a.PackWait, time.Second, 24*time.Hour), Default: "10m", Example: "10m",
			Doc: "The longest that a smaller pack is kept open while reading is slow.",
		},
	}
}

// archiveHow declares when and how a rule works.
func archiveHow(a *Archive) []field {
	return []field{
		{
			Name: "schedule", Doc: "When the rule runs under `sluice run` and `sluice archive run`.",
			Into: section(func() []field { return scheduleSpec(&a.Schedule) }),
		},
		{
			Name: "batch", Doc: "What one read brings.",
			Into: section(func() []field { return batchSpec(&a.Batch) }),
		},
		{
			Name: "limits", Doc: "The pace of the rule.",
			Into: section(func() []field { return ruleLimitsSpec(&a.Limits) }),
		},
		{
			Name: "delete", Into: toggle(&a.Delete), Default: "true",
			Doc: "What is in the archive, read back and checked, is deleted from MongoDB: that is what the archive is for. " +
				"`false` copies only, and never looks back: a document that is given an older date than what was copied last is not copied.",
		},
		{
			Name: "soak", Into: days(&a.Soak, 3650*day), Default: "0", Example: "7d",
			Doc: "Archive and check now, delete this much later. Like a copy it never looks back: a document that is given an older date than what was archived last stays in MongoDB, unless a restore brought it back.",
		},
		{
			Name: "shadow", Into: toggle(&a.Shadow), Default: "false",
			Doc: "Do all but delete, and tell what would have been deleted. It never looks back, like a copy.",
		},
		{
			Name: "compare", Into: choice(&a.Compare, CompareTransaction, CompareDocument), Default: "transaction", Example: "transaction",
			Doc: "How it is made sure that a document is still the archived one when it is deleted: `transaction` reads it again, bit for bit, " +
				"in the transaction that deletes it. `document` is for servers without transactions: the delete itself compares, and can't see a " +
				"change between numeric types of equal value and size.",
		},
		{
			Name: "mixed_types", Into: choice(&a.MixedTypes, MixedRefuse, MixedSkip), Default: "refuse", Example: "refuse",
			Doc: "Some documents hold something else in the field than `kind` says: `refuse` the plan, or `skip` them, so that they stay.",
		},
		{
			Name: "min_age", Into: days(&a.MinAge, 3650*day), Default: "1d", Example: "30d",
			Doc: "A breaker: nothing younger than this is archived, whatever `older_than` says. The plan is refused instead.",
		},
		{
			Name: "max_share", Into: share(&a.MaxShare), Default: "0.5", Example: "0.2",
			Doc: "A breaker: a plan for more than this share of a collection is refused. `1` allows all of it, which a first run over a backlog may need.",
			Check: func() error {
				if a.MaxShare == 0 {
					return errors.New("nothing could be archived; 1 sets no bound")
				}
				return nil
			},
		},
		{
			Name: "hold_restored", Into: days(&a.HoldRestored, 3650*day), Default: "30d", Example: "90d",
			Doc: "How long a restored document is left alone before it may be archived again.",
		},
		{
			Name: "parallel", Into: number(&a.Parallel, 1, 64), Default: "1", Example: "4",
			Doc: "Ranges of time that are worked on at once. More than one is for a backlog of years.",
		},
		{
			Name: "collscan", Into: toggle(&a.CollScan), Default: "false",
			Doc: "Archive also without an index that begins with the field: each run then looks at every document of the collection, and the server sorts " +
				"what is old, on its disk if need be. Without it such a plan is refused. There is one range then, whatever `parallel` says.",
		},
		{
			Name: "sharded", Into: toggle(&a.Sharded), Default: "false",
			Doc: "Archive sharded collections too. Without it they are refused, because this is not proven on a real cluster.",
		},
	}
}

func objectLockSpec(o *ObjectLock) []field {
	return []field{
		{
			Name: "mode", Into: choice(&o.Mode, LockGovernance, LockCompliance), Example: "GOVERNANCE",
			Doc: "`GOVERNANCE` can be lifted with a special right, `COMPLIANCE` by nobody.",
		},
		{
			Name: "days", Into: count(&o.Days, 36500), Example: "365",
			Doc: "Days from the upload on.",
		},
	}
}

func scheduleSpec(s *Schedule) []field {
	return []field{
		{
			Name: "every", Into: duration(&s.Every, time.Second, 1000*time.Hour), Default: "1h", Example: "15m",
			When: func() bool { return s.Cron == "" }, WhenDoc: "no cron",
			Doc: "The time from the end of a run to the start of the next.",
		},
		{
			Name: "cron", Into: text(&s.Cron), Example: `"30 2 * * *"`,
			Doc:   "Times to start, as a cron expression: minute, hour, day, month, weekday; or `@daily` and its like.",
			Check: func() error { return checkCron(s.Cron) },
		},
		{
			Name: "windows", Into: texts(&s.Windows, checkWindow), Example: `["22:00-06:00", "Sat,Sun 00:00-24:00"]`,
			Doc: "The only times in which the rule works; outside of them it pauses where it is. " +
				"A window belongs to the days on which it starts.",
			Check: func() error { return notEmpty(s.Windows, "give at least one window, or remove the line") },
		},
		{
			Name: "timezone", Into: text(&s.Timezone), Example: "Europe/Berlin",
			Doc:   "The time zone of `cron` and `windows`. Without it, that of the rule, else UTC.",
			Check: func() error { return checkTimezone(s.Timezone) },
		},
	}
}

func batchSpec(b *Batch) []field {
	return []field{
		{Name: "docs", Into: number(&b.Docs, 1, 100000), Default: "10000", Example: "10000", Doc: "Documents, at most."},
		{
			Name: "bytes", Into: size(&b.Bytes, 1e5, 1e9), Default: "8MB", Example: "8MB",
			Doc: "Bytes, about. MongoDB sends no more than 16 MB in one reply.",
		},
	}
}

func ruleLimitsSpec(l *RuleLimits) []field {
	return []field{
		{
			Name: "docs_per_second", Into: rate(&l.DocsPerSecond), Default: "0", Example: "5000",
			Doc: "Documents per second, at most, read and deleted each; `0` is as fast as the governor lets it.",
		},
		{
			Name: "bytes_per_second", Into: size(&l.BytesPerSecond, 0, 1<<40), Default: "0", Example: "20MB",
			Doc: "Bytes per second, at most; `0` is as fast as the governor lets it.",
		},
		{
			Name: "min_docs_per_second", Into: rate(&l.MinDocsPerSecond), Default: "0", Example: "100",
			Doc: "Documents per second that are done even if the governor slows down. A pause is a pause.",
		},
		{
			Name: "min_bytes_per_second", Into: size(&l.MinBytesPerSecond, 0, 1<<40), Default: "0", Example: "1MB",
			Doc: "Bytes per second that are done even if the governor slows down.",
		},
	}
}

// checkAgeField looks at the path of an age field.
func checkAgeField(s string) error {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || part[0] == '$' || strings.ContainsRune(part, 0) {
			return errors.New("wants a path such as created_at or meta.closed, without empty parts and $")
		}
	}
	return nil
}

// bucketName is that of S3 and of what speaks its protocol.
const bucketName = `^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`

// checkTo looks at where packs go. No message holds the address.
func checkTo(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "s3" && u.Scheme != "file":
		return errors.New("wants s3://bucket/prefix or file:///directory")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("wants s3://bucket/prefix or file:///directory, without login, ? and #; how S3 is reached is said in the section s3")
	case u.Scheme == "file" && (u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.Path == "/"):
		return errors.New("wants an absolute directory with three slashes: file:///var/lib/archive")
	case u.Scheme == "s3" && !regexp.MustCompile(bucketName).MatchString(u.Host):
		return errors.New("the name of a bucket has 3 to 63 letters, digits, dots and hyphens")
	}
	for part := range strings.SplitSeq(strings.Trim(u.Path, "/"), "/") {
		if part == "." || part == ".." || part == "" && strings.Trim(u.Path, "/") != "" {
			return errors.New("the path can't hold empty parts, . or ..")
		}
	}
	return nil
}

func checkStorageClass(s string) error {
	switch {
	case s == "GLACIER" || s == "DEEP_ARCHIVE":
		return fmt.Errorf("objects of this class can't be read at once, so nothing could be checked before it is deleted: " +
			"use STANDARD, and let a lifecycle rule of the bucket move the packs there after some days")
	case !regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,40}$`).MatchString(s):
		return errors.New("wants a storage class such as STANDARD, STANDARD_IA or GLACIER_IR")
	}
	return nil
}

func checkTag(k, v string) error {
	switch {
	case k == "" || len(k) > 128 || strings.HasPrefix(k, "aws:"):
		return errors.New("the name of a tag has 1 to 128 characters and doesn't start with aws:")
	case len(v) > 256:
		return errors.New("the value of a tag has at most 256 characters")
	}
	return nil
}

func checkWindow(s string) error {
	_, err := parseWindow(s)
	return err
}
