package monstache

// mongoKeys say what is read from MongoDB.
func mongoKeys() []Key {
	return []Key{
		{
			Name: "mongo-url", Kind: Text, Default: "mongodb://localhost:27017", Flag: "mongo-url", Env: "MONGO_URL", State: Done, Secret: true,
			Does: "`mongodb.uri`. TLS, login and pool ride in it, as with Monstache.",
		},
		{
			Name: "mongo-config-url", Kind: Text, Flag: "mongo-config-url", Env: "MONGO_CONFIG_URL", State: Differs, Secret: true,
			Does: "Is not needed: shards are reached through the `mongos` of `mongo-url`.",
		},
		{
			Name: "mongo-oplog-database-name", Kind: Text, Default: "local", Flag: "mongo-oplog-database-name", Env: "MONGO_OPLOG_DB", State: Differs,
			Does: "Is not needed: the server itself is asked how far its oplog reaches.",
		},
		{
			Name: "mongo-oplog-collection-name", Kind: Text, Default: "oplog.rs", Flag: "mongo-oplog-collection-name", Env: "MONGO_OPLOG_COL", State: Differs,
			Does: "Is not needed, as the one above.",
		},
		{
			Name: "config-database-name", Kind: Text, Default: "monstache", Flag: "config-database-name", State: Done,
			Does: "The database of Monstache's positions: they are read from there, sluice keeps its own beside them (`mongodb.own_database`) when `resume` or `direct-read-stateful` is on, and it is never indexed.",
		},
		{
			Name: "change-stream-namespaces", Kind: List, Flag: "change-stream-namespace", Env: "CHANGE_STREAM_NS", State: Done,
			Does: "What is followed: `\"\"` the deployment, `db` a database, `db.collection` a collection. One stream serves all entries.",
		},
		{
			Name: "enable-oplog", Kind: Boolean, Flag: "enable-oplog", State: Later,
			Does: "The oplog is never tailed. With `change-stream-namespaces` it has no effect, in Monstache neither; remove it, and change streams are used.",
		},
		{Name: "disable-change-events", Kind: Boolean, Flag: "disable-change-events", State: Done, Does: "`stream.enabled: false`: only direct reads. Without these the start stops."},
		{
			Name: "namespace-regex", Kind: Text, Flag: "namespace-regex", Env: "NS_REGEX", State: Differs,
			Does: "`stream.include`: only changes of namespaces that it matches anywhere. Lists of direct reads are not filtered by it; what `[\"\"]` discovers is. A drop of what it holds back does not count (with Monstache it does).",
		},
		{Name: "namespace-exclude-regex", Kind: Text, Flag: "namespace-exclude-regex", Env: "NS_EXCLUDE_REGEX", State: Differs, Does: "`stream.exclude`, likewise."},
		{
			Name: "namespace-drop-regex", Kind: Text, Flag: "namespace-drop-regex", Env: "NS_DROP_REGEX", State: Differs,
			Does: "`stream.drops_include`: drops count only where it matches, of what is followed. It sees `db.collection` for each collection, also when a whole database is dropped (Monstache shows it `db.cmd` then).",
		},
		{Name: "namespace-drop-exclude-regex", Kind: Text, Flag: "namespace-drop-exclude-regex", Env: "NS_DROP_EXCLUDE_REGEX", State: Differs, Does: "`stream.drops_exclude`, likewise."},
		{
			Name: "direct-read-namespaces", Kind: List, Flag: "direct-read-namespace", Env: "DIRECT_READ_NS", State: Differs,
			Does: "What is copied; `[\"\"]` is every collection but those of the server, of Monstache and `.chunks`. Documents get versions of the server's time, so that a copy never hides a change. Views are copied as well.",
		},
		{
			Name: "direct-read-dynamic-include-regex", Kind: Text, Flag: "direct-read-dynamic-include-regex", Env: "DIRECT_READ_NS_DYNAMIC_INCLUDE_REGEX", State: Done,
			Does: "`snapshot.include`, when `direct-read-namespaces` is `[\"\"]`.",
		},
		{
			Name: "direct-read-dynamic-exclude-regex", Kind: Text, Flag: "direct-read-dynamic-exclude-regex", Env: "DIRECT_READ_NS_DYNAMIC_EXCLUDE_REGEX", State: Done,
			Does: "`snapshot.exclude`, likewise.",
		},
		{
			Name: "direct-read-split-max", Kind: Number, Default: "9", Flag: "direct-read-split-max", State: Differs,
			Does: "`snapshot.parallel`, one more than the number; `-1` is one reader. It is the number of readers of all collections together, and chunks are cut along the index of `_id`, so that every type of `_id` is copied. Without it sluice's own default, 2.",
		},
		{
			Name: "direct-read-concur", Kind: Number, Flag: "direct-read-concur", State: Differs,
			Does: "Is not needed: all readers together are bounded by `snapshot.parallel`, and finish what is first before they begin what is next.",
		},
		{Name: "direct-read-bounded", Kind: Boolean, Flag: "direct-read-bounded", State: Differs, Does: "Is always so: a copy ends at the last `_id` that was there when it began; what comes later comes as a change."},
		{Name: "direct-read-no-timeout", Kind: Boolean, Flag: "direct-read-no-timeout", State: Differs, Does: "Is not needed: each page is a query of its own, so that no cursor waits for Elasticsearch."},
		{Name: "direct-read-stateful", Kind: Boolean, Flag: "direct-read-stateful", State: Done, Does: "`snapshot.repeat: once`; without it `always`, as Monstache copies again at each start. What its `directreads` says to be copied is not copied again (`takeover.copied: listed`)."},
		{
			Name: "exit-after-direct-reads", Kind: Boolean, Flag: "exit-after-direct-reads", State: Differs,
			Does: "Ends when all is copied and the stream has reached the time at which the copy ended, also when there was nothing to copy. In a `sluice.yaml`: `sluice run --once`.",
		},
		{Name: "gtm-settings.channel-size", Kind: Number, Default: "512", State: Differs, Does: "Is not needed: what is in memory is bounded in bytes, by `limits.memory_budget`."},
		{Name: "gtm-settings.buffer-size", Kind: Number, Default: "32", State: Idle, Does: "Counts for the oplog mode alone."},
		{Name: "gtm-settings.buffer-duration", Kind: Text, Default: "75ms", State: Idle, Does: "Counts for the oplog mode alone. What is no duration stops the start, as in Monstache."},
		{Name: "gtm-settings.max-await-time", Kind: Text, State: Differs, Does: "Is not needed: the stream is asked in a rhythm of its own. What is no duration stops the start, as in Monstache."},
	}
}

// positionKeys say where it goes on.
func positionKeys() []Key {
	return []Key{
		{
			Name: "resume", Kind: Boolean, Flag: "resume", State: Differs,
			Does: "With it the position that Monstache saved is read at the first start (`takeover`); later starts go on at sluice's own, which is in the same database, and never ahead of what is in the index. Without it sluice goes on at its own position as well, so that changes made meanwhile are not lost.",
		},
		{
			Name: "resume-name", Kind: Text, Default: "default", Flag: "resume-name", State: Done,
			Does: "The name under which Monstache's position is looked up, and that of the flow, in lower case and without what a flow's name can't hold.",
		},
		{Name: "resume-strategy", Kind: Number, Flag: "resume-strategy", State: Done, Does: "Which position is read: 0 that of `monstache`, a time, from which on all is read again, that time included; 1 those of `tokens`."},
		{
			Name: "resume-from-timestamp", Kind: Number, Flag: "resume-from-timestamp", State: Differs,
			Does: "`stream.start_at`: the first start begins there, that time included. Later starts go on at sluice's own position.",
		},
		{
			Name: "resume-from-earliest-timestamp", Kind: Boolean, Flag: "resume-from-earliest-timestamp", State: Differs,
			Does: "Is not needed: it chooses among the connections to several shards, and sluice has one, to the `mongos`.",
		},
		{Name: "resume-write-unsafe", Kind: Boolean, Flag: "resume-write-unsafe", State: Idle, Does: "Positions are written with majority."},
		{Name: "replay", Kind: Boolean, Flag: "replay", State: Differs, Does: "`stream.start_at: earliest`: the first start begins with the oldest entry of the oplog, ten seconds later where the oplog is full. Later starts go on at sluice's own position."},
		{Name: "cluster-name", Kind: Text, Flag: "cluster-name", Env: "CLUSTER", State: Later, Does: "Several processes of which one works: run one process under a supervisor that starts it again."},
		{Name: "worker", Kind: Text, Flag: "worker", Env: "WORKER", State: Later, Does: "Several processes that share the documents: give each collections of its own, or run one."},
		{Name: "workers", Kind: List, Flag: "workers", State: Later, Does: "As `worker`."},
	}
}
