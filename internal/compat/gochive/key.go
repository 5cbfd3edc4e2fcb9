package gochive

// Key is one thing that go-chive can be told, by a flag or in a list. The table
// is what flags, lists and docs/migrating-from-go-chive.md are made of.
type Key struct {
	// Flag is the name of the flag, without the dash; "" where only a list has it.
	Flag string
	// Alias is another spelling of the flag.
	Alias string
	// List is the path in an entry of a list; "" where only the command line has it.
	List string
	// Native is the field of sluice.yaml that it becomes.
	Native string
	// Ours says that go-chive does not have it.
	Ours bool
	// Means is what sluice does with it.
	Means string
}

// Keys returns the table, in the order in which it is shown.
func Keys() []Key {
	return []Key{
		{
			Flag: "host", List: "hostAddress", Native: "mongodb.uri",
			Means: "The deployment: a connection string, or `host[:port]` with more after commas. In a list it may be a word that `-host-template` makes a connection string of. Entries of several deployments run in one process.",
		},
		{Flag: "database", List: "database", Native: "archive[].namespace", Means: "The database of the collection."},
		{Flag: "collection", List: "collection", Native: "archive[].namespace", Means: "The collection. One is needed: go-chive's habit of one process for each is not."},
		{
			Flag: "archive-field", List: "archiveField", Native: "archive[].field",
			Means: "The field with the date, also a dotted path (go-chive panics at one). It needs an index, without which the plan is refused; `_id` and other kinds of fields: write a sluice.yaml.",
		},
		{
			Flag: "age-limit", List: "ageLimit", Native: "archive[].older_than",
			Means: "The age in whole days, such as `92d`, by the server's clock. `-1d`, `1d12h` and `92` are refused, as is none at all (go-chive would take 45 days): go-chive takes the first for a date in the future, and cuts the second to a day.",
		},
		{
			Flag: "archive-check-interval", List: "archiveCheckInterval", Native: "archive[].schedule.every, archive[].limits.docs_per_second",
			Means: "Seconds; 60, if not given. At most `query-limit` documents are read in each such interval, and a rule that has nothing left looks again after it.",
		},
		{
			Flag: "query-limit", Alias: "queryLimit", List: "queryLimit", Native: "archive[].batch.docs, archive[].limits.docs_per_second",
			Means: "The most documents of one read; 100, if not given. With the interval it is the ceiling of the rule, which is printed at the start.",
		},
		{
			Flag: "s3-upload-interval", List: "s3.uploadInterval", Native: "archive[].pack_wait",
			Means: "Seconds; 120, if not given. What was read meanwhile becomes one pack, which is uploaded, read back, committed, and only then deleted from MongoDB. A pack that is full (128 MB) goes earlier. The upload and the deletes of a rule never overlap.",
		},
		{
			Flag: "s3-bucket-uri", List: "s3.bucket", Native: "archive[].to",
			Means: "`bucket/prefix/`, with or without `s3://`. Packs of sluice lie below the prefix, in a folder of their own beside what go-chive wrote.",
		},
		{List: "name", Native: "archive[].name", Means: "The name of the rule, and its label in metrics. Without one: database and collection."},
		{Flag: "values", Ours: true, Means: "A file with a list of entries, instead of the flags of one."},
		{Flag: "host-template", Ours: true, Native: "mongodb.uri", Means: "The connection string of entries whose `hostAddress` is a word: `{hostAddress}` stands for it. `${NAME}` and `${file:/path}` are read from environment and file, so that no password stands on the command line."},
		{Flag: "s3-endpoint", Ours: true, Native: "s3.endpoint, s3.path_style", Means: "The URL of a store other than AWS. The bucket is then in the path."},
		{Flag: "s3-region", Ours: true, Native: "s3.region", Means: "The region. Without it, that of the environment or the profile."},
		{Flag: "listen", Ours: true, Native: "http.listen", Means: "`HOST:PORT` of /metrics, /healthz, /readyz and /status; a second deployment gets the next port. Without it there is none, as go-chive has none."},
		{Flag: "once", Ours: true, Means: "Run each rule once, and end."},
		{Flag: "allow-collscan", Ours: true, Native: "archive[].collscan", Means: "Read a collection although no index leads to old documents: each read then goes through all of it."},
	}
}
