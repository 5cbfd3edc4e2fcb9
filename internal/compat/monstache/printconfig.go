package monstache

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// redacted stands for what is not shown.
const redacted = "REDACTED"

// printed is one line of -print-config: the name that Monstache's own memory has
// for a key. Without a key it is constant.
type printed struct {
	name, key, constant string
	fields              []printed
}

// printOrder is the order in which Monstache prints.
func printOrder() []printed {
	return append(append([]printed{
		{name: "EnableTemplate", constant: "tpl"},
		{name: "EnvDelimiter", constant: "env-delimiter"},
		{name: "MongoURL", key: "mongo-url"},
		{name: "MongoConfigURL", key: "mongo-config-url"},
		{name: "MongoOpLogDatabaseName", key: "mongo-oplog-database-name"},
		{name: "MongoOpLogCollectionName", key: "mongo-oplog-collection-name"},
		{name: "GtmSettings", fields: []printed{
			{name: "ChannelSize", key: "gtm-settings.channel-size"},
			{name: "BufferSize", key: "gtm-settings.buffer-size"},
			{name: "BufferDuration", key: "gtm-settings.buffer-duration"},
			{name: "MaxAwaitTime", key: "gtm-settings.max-await-time"},
		}},
		{name: "AWSConnect", fields: []printed{
			{name: "Strategy", key: "aws-connect.strategy"},
			{name: "AccessKey", key: "aws-connect.access-key"},
			{name: "SecretKey", key: "aws-connect.secret-key"},
			{name: "Region", key: "aws-connect.region"},
			{name: "Profile", key: "aws-connect.profile"},
			{name: "CredentialsFile", key: "aws-connect.credentials-file"},
			{name: "CredentialsWatchDir", key: "aws-connect.credentials-watch-dir"},
			{name: "WatchCredentials", key: "aws-connect.watch-credentials"},
			{name: "ForceExpire", key: "aws-connect.force-expire"},
		}},
		{name: "LogRotate", fields: []printed{
			{name: "MaxSize", key: "log-rotate.max-size"},
			{name: "MaxAge", key: "log-rotate.max-age"},
			{name: "MaxBackups", key: "log-rotate.max-backups"},
			{name: "LocalTime", key: "log-rotate.localtime"},
			{name: "Compress", key: "log-rotate.compress"},
		}},
		{name: "Logs", fields: []printed{
			{name: "Info", key: "logs.info"},
			{name: "Warn", key: "logs.warn"},
			{name: "Error", key: "logs.error"},
			{name: "Trace", key: "logs.trace"},
			{name: "Stats", key: "logs.stats"},
		}},
		{name: "GraylogAddr", key: "graylog-addr"},
		{name: "ElasticUrls", key: "elasticsearch-urls"},
		{name: "ElasticUser", key: "elasticsearch-user"},
		{name: "ElasticPassword", key: "elasticsearch-password"},
		{name: "ElasticAPIKey", key: "elasticsearch-api-key"},
		{name: "ElasticPemFile", key: "elasticsearch-pem-file"},
		{name: "ElasticValidatePemFile", key: "elasticsearch-validate-pem-file"},
		{name: "ElasticVersion", key: "elasticsearch-version"},
		{name: "ElasticHealth0", key: "elasticsearch-healthcheck-timeout-startup"},
		{name: "ElasticHealth1", key: "elasticsearch-healthcheck-timeout"},
		{name: "ElasticPKIAuth", fields: []printed{{name: "CertFile", key: "elasticsearch-pki-auth.cert-file"}, {name: "KeyFile", key: "elasticsearch-pki-auth.key-file"}}},
		{name: "ResumeName", key: "resume-name"},
		{name: "NsRegex", key: "namespace-regex"},
		{name: "NsDropRegex", key: "namespace-drop-regex"},
		{name: "NsExcludeRegex", key: "namespace-exclude-regex"},
		{name: "NsDropExcludeRegex", key: "namespace-drop-exclude-regex"},
		{name: "ClusterName", key: "cluster-name"},
		{name: "Print", constant: "true"},
		{name: "Version", constant: "false"},
		{name: "Pprof", key: "pprof"},
		{name: "EnableOplog", key: "enable-oplog"},
		{name: "DisableChangeEvents", key: "disable-change-events"},
		{name: "EnableEasyJSON", key: "enable-easy-json"},
		{name: "Stats", key: "stats"},
		{name: "IndexStats", key: "index-stats"},
		{name: "StatsDuration", key: "stats-duration"},
		{name: "StatsIndexFormat", key: "stats-index-format"},
		{name: "Gzip", key: "gzip"},
		{name: "Verbose", key: "verbose"},
		{name: "Resume", key: "resume"},
		{name: "ResumeStrategy", key: "resume-strategy"},
		{name: "ResumeWriteUnsafe", key: "resume-write-unsafe"},
		{name: "ResumeFromTimestamp", key: "resume-from-timestamp"},
		{name: "ResumeFromEarliestTimestamp", key: "resume-from-earliest-timestamp"},
	}, printOrderDocuments()...), printOrderRest()...)
}

func printOrderDocuments() []printed {
	return []printed{
		{name: "Replay", key: "replay"},
		{name: "DroppedDatabases", key: "dropped-databases"},
		{name: "DroppedCollections", key: "dropped-collections"},
		{name: "IndexFiles", key: "index-files"},
		{name: "IndexAsUpdate", key: "index-as-update"},
		{name: "FileHighlighting", key: "file-highlighting"},
		{name: "DisableFilePipelinePut", key: "disable-file-pipeline-put"},
		{name: "EnablePatches", key: "enable-patches"},
		{name: "FailFast", key: "fail-fast"},
		{name: "IndexOplogTime", key: "index-oplog-time"},
		{name: "OplogTsFieldName", key: "oplog-ts-field-name"},
		{name: "OplogDateFieldName", key: "oplog-date-field-name"},
		{name: "OplogDateFieldFormat", key: "oplog-date-field-format"},
		{name: "ExitAfterDirectReads", key: "exit-after-direct-reads"},
		{name: "MergePatchAttr", key: "merge-patch-attribute"},
		{name: "ElasticMaxConns", key: "elasticsearch-max-conns"},
		{name: "ElasticRetry", key: "elasticsearch-retry"},
		{name: "ElasticMaxDocs", key: "elasticsearch-max-docs"},
		{name: "ElasticMaxBytes", key: "elasticsearch-max-bytes"},
		{name: "ElasticMaxSeconds", key: "elasticsearch-max-seconds"},
		{name: "ElasticClientTimeout", key: "elasticsearch-client-timeout"},
		{name: "ElasticMajorVersion", constant: "0"},
		{name: "ElasticMinorVersion", constant: "0"},
		{name: "MaxFileSize", key: "max-file-size"},
		{name: "ConfigFile", constant: "f"},
		{name: "Script", constant: "null"},
		{name: "Filter", constant: "null"},
		{name: "Pipeline", constant: "null"},
		{name: "Mapping", constant: "null"},
		{name: "Relate", constant: "relate"},
	}
}

func printOrderRest() []printed {
	return []printed{
		{name: "FileNamespaces", key: "file-namespaces"},
		{name: "PatchNamespaces", key: "patch-namespaces"},
		{name: "Workers", key: "workers"},
		{name: "Worker", key: "worker"},
		{name: "ChangeStreamNs", key: "change-stream-namespaces"},
		{name: "DirectReadNs", key: "direct-read-namespaces"},
		{name: "DirectReadSplitMax", key: "direct-read-split-max"},
		{name: "DirectReadConcur", key: "direct-read-concur"},
		{name: "DirectReadNoTimeout", key: "direct-read-no-timeout"},
		{name: "DirectReadBounded", key: "direct-read-bounded"},
		{name: "DirectReadStateful", key: "direct-read-stateful"},
		{name: "DirectReadExcludeRegex", key: "direct-read-dynamic-exclude-regex"},
		{name: "DirectReadIncludeRegex", key: "direct-read-dynamic-include-regex"},
		{name: "MapperPluginPath", key: "mapper-plugin-path"},
		{name: "EnableHTTPServer", key: "enable-http-server"},
		{name: "HTTPServerAddr", key: "http-server-addr"},
		{name: "TimeMachineNamespaces", key: "time-machine-namespaces"},
		{name: "TimeMachineIndexPrefix", key: "time-machine-index-prefix"},
		{name: "TimeMachineIndexSuffix", key: "time-machine-index-suffix"},
		{name: "TimeMachineDirectReads", key: "time-machine-direct-reads"},
		{name: "PipeAllowDisk", key: "pipe-allow-disk"},
		{name: "RoutingNamespaces", key: "routing-namespaces"},
		{name: "DeleteStrategy", key: "delete-strategy"},
		{name: "DeleteIndexPattern", key: "delete-index-pattern"},
		{name: "ConfigDatabaseName", key: "config-database-name"},
		{name: "FileDownloaders", key: "file-downloaders"},
		{name: "RelateThreads", key: "relate-threads"},
		{name: "RelateBuffer", key: "relate-buffer"},
		{name: "PostProcessors", key: "post-processors"},
		{name: "PruneInvalidJSON", key: "prune-invalid-json"},
		{name: "Debug", key: "debug"},
		{name: "DisableDeleteProtection", key: "disable-delete-protection"},
	}
}

// PrintConfig is what -print-config writes: a log line, at the given time, whose
// text is the configuration as JSON. Logins are not in it.
func (s *Settings) PrintConfig(now time.Time) string {
	return "INFO " + now.Format("2006/01/02 15:04:05") + " " + s.printed(printOrder(), "  ") + "\n"
}

func (s *Settings) printed(fields []printed, indent string) string {
	lines := make([]string, len(fields))
	for i, f := range fields {
		lines[i] = indent + `"` + f.name + `": ` + s.printedValue(f, indent)
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n" + indent[2:] + "}"
}

func (s *Settings) printedValue(f printed, indent string) string {
	switch {
	case f.fields != nil:
		return s.printed(f.fields, indent+"  ")
	case f.constant == "tpl":
		return jsonOf(s.Template)
	case f.constant == "env-delimiter":
		return jsonOf(s.Delimiter)
	case f.constant == "f":
		return jsonOf(s.File)
	case f.constant == "relate":
		return s.printedRelations(indent)
	case f.constant != "":
		return f.constant
	}
	v := s.effective(f.key)
	switch v.Kind {
	case Boolean:
		return jsonOf(v.On)
	case Number:
		return jsonOf(v.Int)
	case List:
		return printedList(f.key, v.List, indent)
	}
	return jsonOf(hide(f.key, v.Text))
}

// effective is the value with the defaults that hang on other keys.
func (s *Settings) effective(key string) Value {
	v := s.get(key)
	switch key {
	case "elasticsearch-max-seconds":
		if !s.has(key) && len(s.list("direct-read-namespaces")) > 0 {
			v.Int = 5
		}
	case "change-stream-namespaces":
		if !s.has(key) && !s.on("enable-oplog") && !s.on("disable-change-events") {
			v.List = []string{""}
		}
	}
	return v
}

func printedList(key string, list []string, indent string) string {
	if len(list) == 0 {
		return "null"
	}
	lines := make([]string, len(list))
	for i, one := range list {
		lines[i] = indent + "  " + jsonOf(hide(key, one))
	}
	return "[\n" + strings.Join(lines, ",\n") + "\n" + indent + "]"
}

// printedRelations are the tables of joins, which Monstache prints.
func (s *Settings) printedRelations(indent string) string {
	rows := s.tables["relate"]
	if len(rows) == 0 {
		return "null"
	}
	names := []struct{ name, key string }{
		{"Namespace", "namespace"},
		{"WithNamespace", "with-namespace"},
		{"SrcField", "src-field"},
		{"MatchField", "match-field"},
		{"DotNotation", "dot-notation"},
		{"KeepSrc", "keep-src"},
		{"MaxDepth", "max-depth"},
		{"MatchFieldType", "match-field-type"},
	}
	out := make([]string, len(rows))
	for i, row := range rows {
		sub := &Settings{given: row, keys: s.keys}
		fields := make([]printed, len(names))
		for j, n := range names {
			fields[j] = printed{name: n.name, key: "relate." + n.key}
		}
		out[i] = indent + "  " + sub.printed(fields, indent+"    ")
	}
	return "[\n" + strings.Join(out, ",\n") + "\n" + indent + "]"
}

// hide takes logins out of a value.
func hide(key, text string) string {
	switch key {
	case "mongo-url", "mongo-config-url", "elasticsearch-urls":
		return hideLogin(text)
	case "elasticsearch-user", "elasticsearch-password", "elasticsearch-api-key", "aws-connect.access-key", "aws-connect.secret-key", "aws-connect.region":
		if text != "" {
			return redacted
		}
	}
	return text
}

// hideLogin takes the user part and secret options out of a URL; of what can't
// be read, everything.
func hideLogin(text string) string {
	text = regexp.MustCompile(`(?i)((password|secret|token)[^=:&,]*[=:])[^&,]*`).ReplaceAllString(text, "${1}"+redacted)
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "", text
	}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		if ok {
			return scheme + "://" + redacted + "@" + rest[i+1:]
		}
		return redacted
	}
	if _, err := url.Parse(text); err != nil && strings.Contains(text, ":") && !strings.HasPrefix(text, "mongodb") {
		return redacted
	}
	return text
}

// jsonOf is JSON with the escapes of encoding/json: < > & as \u003c ….
func jsonOf(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "null" // can't be: text, numbers and switches always encode
	}
	return string(raw)
}
