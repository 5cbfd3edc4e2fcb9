package monstache

// operationKeys say how the process shows what it does.
func operationKeys() []Key {
	return []Key{
		{Name: "logs.info", Kind: Text, Env: "LOG_DIR", State: Done, Does: "`logs.info`. The variable names a directory, in which each level gets a file of its name."},
		{Name: "logs.warn", Kind: Text, Env: "LOG_DIR", State: Done, Does: "`logs.warn`."},
		{Name: "logs.error", Kind: Text, Env: "LOG_DIR", State: Done, Does: "`logs.error`."},
		{Name: "logs.trace", Kind: Text, Env: "LOG_DIR", State: Done, Does: "`logs.trace`."},
		{Name: "logs.stats", Kind: Text, Env: "LOG_DIR", State: Done, Does: "`logs.stats`."},
		{Name: "log-rotate.max-size", Kind: Number, Default: "500", Env: "LOG_MAX_SIZE", State: Done, Does: "`logs.rotate.max_size`, in MiB. Counts with a file of `logs` alone, as all of `log-rotate`. The variable counts only where the file says nothing."},
		{Name: "log-rotate.max-age", Kind: Number, Default: "28", Env: "LOG_MAX_AGE", State: Done, Does: "`logs.rotate.max_age`, in days."},
		{Name: "log-rotate.max-backups", Kind: Number, Default: "5", Env: "LOG_MAX_BACKUPS", State: Done, Does: "`logs.rotate.max_backups`."},
		{Name: "log-rotate.localtime", Kind: Boolean, State: Done, Does: "`logs.rotate.local_time`."},
		{Name: "log-rotate.compress", Kind: Boolean, State: Done, Does: "`logs.rotate.compress`."},
		{Name: "graylog-addr", Kind: Text, Flag: "graylog-addr", Env: "GRAYLOG_ADDR", State: Later, Does: "Logs over UDP: let a collector read the standard output."},
		{Name: "verbose", Kind: Boolean, Flag: "verbose", State: Done, Does: "`search.trace: true`: requests and answers in the log, without logins."},
		{Name: "debug", Kind: Boolean, Flag: "debug", State: Idle, Does: "Monstache 6 takes it and does nothing with it."},
		{Name: "stats", Kind: Boolean, Flag: "stats", State: Done, Does: "`stats.log: true`: the same line of JSON in each period."},
		{Name: "stats-duration", Kind: Text, Default: "30s", Flag: "stats-duration", State: Done, Does: "`stats.interval`. What is no duration stops the start."},
		{Name: "index-stats", Kind: Boolean, Flag: "index-stats", State: Done, Does: "`stats.index`: the same document in each period. Counts with `stats` alone."},
		{Name: "stats-index-format", Kind: Text, Default: "monstache.stats.2006-01-02", Flag: "stats-index-format", State: Done, Does: "The name of that index, as a layout of Go's, in lower case."},
		{Name: "fail-fast", Kind: Boolean, Flag: "fail-fast", State: Later, Does: "Ends at the first error. `sluice` ends by itself at what it can't go on from, and notes the fault of a single document as a dead letter."},
		{Name: "enable-http-server", Kind: Boolean, Flag: "enable-http-server", State: Done, Does: "`http.monstache`: the same paths with the same bodies."},
		{Name: "http-server-addr", Kind: Text, Default: ":8080", Flag: "http-server-addr", Env: "HTTP_ADDR", State: Done, Does: "`http.monstache.listen`. Counts with `enable-http-server` alone."},
		{Name: "pprof", Kind: Boolean, Flag: "pprof", State: Done, Does: "`http.monstache.pprof`. Counts with `enable-http-server` alone."},
	}
}
