package config

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// spec declares the whole configuration, bound to c.
func spec(c *Config) []field {
	archives := func() bool { return len(c.Archive) > 0 }
	// Who archives alone needs no search engine.
	searches := func() bool { return len(c.Flows) > 0 || len(c.Archive) == 0 }
	return []field{
		{
			Name: "mongodb", Required: true, Doc: "Where the documents come from.",
			Into: section(func() []field { return mongodbSpec(&c.MongoDB) }),
		},
		{
			Name: "search", Required: true, Doc: "The Elasticsearch or OpenSearch cluster that is written to.",
			When: searches, WhenDoc: "flows",
			Into: section(func() []field { return searchSpec(&c.Search) }),
		},
		{
			Name: "state", Doc: "Where positions are kept, so that a restart goes on where it was.",
			Into: section(func() []field { return stateSpec(&c.State) }),
		},
		{
			Name: "dead_letters", Doc: "Where documents that can't be written are noted: key, time and reason, never content.",
			Into: section(func() []field { return deadLettersSpec(&c.DeadLetters) }),
		},
		{
			Name: "http", Doc: "Our own server: `/metrics`, `/healthz`, `/readyz`, `/status`.",
			Into: section(func() []field { return httpSpec(&c.HTTP) }),
		},
		{
			Name: "logs", Doc: "How log lines look, and which of them go to files: docs/logs.md.",
			Into: section(func() []field { return logsSpec(&c.Logs) }),
		},
		{
			Name: "stats", Doc: "Counts of what was written, every while, in Monstache's form: docs/stats.md.",
			Into: section(func() []field { return statsSpec(&c.Stats) }),
		},
		{
			Name: "limits", Doc: "What one process takes.",
			Into: section(func() []field { return limitsSpec(&c.Limits) }),
		},
		{
			Name: "s3", When: archives, WhenDoc: "archive",
			Doc:  "How object storage is reached, for rules that go to `s3://`. AWS and whatever speaks its protocol.",
			Into: section(func() []field { return s3Spec(&c.S3) }),
		},
		{
			Name: "governor", When: func() bool { return archives() || c.Paced() }, WhenDoc: "archive or snapshot.pace: auto",
			Doc:  "When the archive, and copies with `snapshot.pace: auto`, wait, so that the live database comes first. The reason of a wait is in `/status`.",
			Into: section(func() []field { return governorSpec(&c.Governor) }),
		},
		{
			Name: "spool", When: archives, WhenDoc: "archive",
			Doc:  "Where packs are made before they are uploaded. What is there can be lost: nothing is deleted before it is in the archive.",
			Into: section(func() []field { return spoolSpec(&c.Spool) }),
		},
		{
			Name: "flows", Required: true, Example: "flows: [{name: shop, namespaces: [shop.orders]}]",
			Waived: archives, Or: "archive",
			Doc:   "What is brought where. Each flow has a position of its own.",
			Into:  sections(&c.Flows, flowSpec),
			Check: func() error { return someFlows(c.Flows) },
		},
		{
			Name: "archive", Example: "archive: [{name: old, namespace: shop.orders, field: created_at, older_than: 92d, to: s3://bucket/shop}]",
			Doc: "Rules of what has grown old: it goes to object storage, is read back and checked there, " +
				"and only then deleted from MongoDB. `sluice archive plan` shows first what would happen.",
			Into:  sections(&c.Archive, archiveSpec),
			Check: func() error { return notEmpty(c.Archive, "give at least one rule") },
		},
	}
}

func mongodbSpec(m *MongoDB) []field {
	return []field{
		{
			Name: "uri", Into: connection(&m.URI), Required: true, Flag: "--mongodb",
			Example: "mongodb://127.0.0.1:27017/?replicaSet=rs0",
			Doc: "Connection string. The deployment must be a replica set or a sharded cluster, because change streams need one. " +
				"Keep the password out of the file: `mongodb://sluice:${MONGODB_PASSWORD}@db1/`; " +
				"characters such as `@`, `:`, `/` and `%` in it must be percent-encoded.",
			Check: func() error { return checkURI(m.URI.Reveal()) },
		},
		ownDatabaseField(m),
	}
}

func searchSpec(s *Search) []field {
	return []field{
		cloudField(&s.CloudID),
		{
			Name: "urls", Into: texts(&s.URLs, checkURL), Required: true, Flag: "--search",
			Waived: func() bool { return s.CloudID != "" }, Or: "cloud_id",
			Example: "[http://127.0.0.1:9200]",
			Doc:     "Addresses of nodes of one cluster. Requests go round them; a node that fails is left out for a while.",
			Check:   func() error { return notEmpty(s.URLs, "give at least one URL") },
		},
		{
			Name: "auth", Doc: "The login: username and password, or an API key. None, if the cluster asks for none.",
			Into: section(func() []field { return authSpec(&s.Auth) }),
		},
		awsField(&s.AWS),
		{
			Name: "tls", Doc: "For https URLs. The system's certificate authorities are trusted without any of this.",
			Into: section(func() []field { return tlsSpec(&s.TLS) }),
		},
		{
			Name: "gzip", Into: toggle(&s.Gzip), Default: "false",
			Doc: "Compress the requests. Worth its processor time when the network is slow or paid for.",
		},
		{
			Name: "in_flight", Into: number(&s.InFlight, 1, 64), Default: "4", Example: "4",
			Doc: "Bulk requests at one time, at most. When the cluster rejects some, fewer are sent by themselves.",
		},
		{
			Name: "body_bytes", Into: size(&s.BodyBytes, 1e3, 90e6), Default: "2MB", Example: "2MB",
			Doc: "The size that the body of a bulk request grows to. One document that is larger still goes, alone. " +
				"Clusters refuse bodies above 100 MB.",
		},
		{
			Name: "timeout", Into: duration(&s.Timeout, time.Second, time.Hour), Default: "1m", Example: "1m",
			Doc: "The time that one request may take. Its outcome is unknown then, and it is sent again, which is harmless.",
		},
		{
			Name: "startup_timeout", Into: duration(&s.StartupTimeout, 0, 24*time.Hour), Default: "0", Example: "2m",
			Doc: "How long a start waits for a cluster that does not answer yet; `0` fails at once.",
		},
		{
			Name: "trace", Into: toggle(&s.Trace), Default: "false",
			Doc: "Show each request and answer in the log, at the level TRACE, whatever `--log-level` says: bodies up to 64 KiB, so documents too; no headers, so no logins.",
		},
	}
}

func authSpec(a *Auth) []field {
	return []field{
		{Name: "username", Into: text(&a.Username), Example: "sluice", Doc: "User, together with `password`."},
		{Name: "password", Into: secret(&a.Password), Example: "${SEARCH_PASSWORD}", Doc: "Password of `username`."},
		{
			Name: "api_key", Into: secret(&a.APIKey), Example: "${file:/run/secrets/api_key}",
			Doc: "API key in its encoded form, instead of a username.",
		},
	}
}

func tlsSpec(t *TLS) []field {
	return []field{
		{
			Name: "ca_file", Into: text(&t.CAFile), Example: "/etc/sluice/ca.pem",
			Doc: "PEM file of the certificate authorities to trust instead of the system's.",
		},
		{
			Name: "cert_file", Into: text(&t.CertFile), Example: "/etc/sluice/client.pem",
			Doc: "PEM file of our certificate, together with `key_file`.",
		},
		{Name: "key_file", Into: text(&t.KeyFile), Example: "/etc/sluice/client.key", Doc: "PEM file of the key of our certificate."},
		{
			Name: "insecure_skip_verify", Into: toggle(&t.InsecureSkipVerify), Default: "false",
			Doc: "Trust any certificate. Whoever stands in between reads the login and every document.",
		},
	}
}

func stateSpec(s *State) []field {
	isFile := func() bool { return s.Store == StoreFile }
	isSearch := func() bool { return s.Store == StoreSearch }
	return []field{
		{
			Name: "store", Into: choice(&s.Store, StoreFile, StoreSearch, StoreMongoDB), Default: "file", Example: "file",
			Doc: "`file` needs a disk that stays; `search` keeps positions in an index beside the documents; " +
				"`mongodb` keeps them in `sluice.checkpoints` of the source (see `mongodb.own_database`), a document per flow, with majority; that takes the right to write there.",
		},
		{
			Name: "path", Into: text(&s.Path), Default: "./sluice-state", Example: "/var/lib/sluice", Flag: "--state",
			When: isFile, WhenDoc: "store: file",
			Doc:   "Directory of the positions, one file per flow. A relative path starts at the working directory.",
			Check: func() error { return notBlank(s.Path) },
		},
		{
			Name: "index", Into: text(&s.Index), Default: "sluice-state", Example: "sluice-state",
			When: isSearch, WhenDoc: "store: search",
			Doc:   "Index of the positions.",
			Check: func() error { return CheckIndexName(s.Index) },
		},
	}
}

func deadLettersSpec(s *DeadLetters) []field {
	isFile := func() bool { return s.Store == StoreFile }
	isSearch := func() bool { return s.Store == StoreSearch }
	return []field{
		{
			Name: "store", Into: choice(&s.Store, StoreSearch, StoreFile, StoreMongoDB), Default: "search", Example: "search",
			Doc: "`search` notes them in an index, `file` in a directory, `mongodb` in `sluice.dead_letters` of the source (see `mongodb.own_database`), " +
				"with majority; that takes the right to write there.",
		},
		{
			Name: "index", Into: text(&s.Index), Default: "sluice-dead-letters", Example: "sluice-dead-letters",
			When: isSearch, WhenDoc: "store: search",
			Doc:   "Index of the dead letters.",
			Check: func() error { return CheckIndexName(s.Index) },
		},
		{
			Name: "path", Into: text(&s.Path), Default: "./sluice-dead-letters", Example: "/var/lib/sluice/dead-letters",
			When: isFile, WhenDoc: "store: file",
			Doc:   "Directory of the dead letters.",
			Check: func() error { return notBlank(s.Path) },
		},
	}
}

func httpSpec(h *HTTP) []field {
	return []field{
		{
			Name: "listen", Into: listener(&h.Listen), Default: "127.0.0.1:9630", Example: "127.0.0.1:9630", Flag: "--listen",
			Doc:   "Address and port, or `off` for no server. Anything but a loopback address needs `token`.",
			Check: func() error { return checkListen(h.Listen) },
		},
		{
			Name: "probes", Into: listener(&h.Probes), Default: "off", Example: "0.0.0.0:9631",
			Doc: "Address and port of a second server, or `off`, for a supervisor on another machine that has no token, such as " +
				"Kubernetes: `/healthz` and `/readyz` and nothing else, yes or no, without reasons.",
			Check: func() error { return checkListen(h.Probes) },
		},
		{
			Name: "token", Into: secret(&h.Token), Example: "${SLUICE_HTTP_TOKEN}",
			Doc: "Who asks must send it as `Authorization: Bearer …`. `/healthz` stays open. There is no TLS yet: " +
				"beyond one machine, put a proxy with TLS in front.",
			Check: func() error { return checkToken(h.Token.Reveal()) },
		},
		{
			Name: "ready_lag", Into: duration(&h.ReadyLag, 0, 24*time.Hour), Default: "0", Example: "30s",
			Doc: "`/readyz` says no while the index is further behind MongoDB than this; `0` doesn't ask.",
		},
		{
			Name: "monstache", Doc: "Another server, with the paths and answers of Monstache's: `/started`, `/healthz`, `/stats`, `/instance`.",
			Into: section(func() []field { return monstacheSpec(&h.Monstache) }),
		},
	}
}

func limitsSpec(l *Limits) []field {
	return []field{
		{
			Name: "memory_budget", Into: size(&l.MemoryBudget, 4e6, 1<<40), Default: "32MB", Example: "32MB",
			Doc: "Bytes of documents in all queues of all flows together. When it is used up, reading waits. " +
				"The process needs a few times as much.",
		},
		{
			Name: "lanes", Into: number(&l.Lanes, 1, 64), Default: "4", Example: "4",
			Doc: "Lanes of a flow. Changes of one document stay in one lane, in order; lanes work side by side.",
		},
		{
			Name: "snapshot_writers", Into: number(&l.SnapshotWriters, 1, 64), Default: "2", Example: "2",
			Doc: "Batches of snapshots that a flow writes at one time.",
		},
	}
}

func notBlank(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func notEmpty[T any](s []T, cure string) error {
	if len(s) == 0 {
		return errors.New("must not be empty: " + cure)
	}
	return nil
}

func someFlows(flows []Flow) error {
	return notEmpty(flows, "give at least one flow")
}

// checkURL looks at the address of a search node. Its login is allowed here
// and moves to the auth section; no message holds the address.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("wants a URL such as https://search.example:9200")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("wants a URL that starts with http:// or https://")
	case u.Hostname() == "":
		return errors.New("wants a URL with a host, such as https://search.example:9200")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("wants a URL without ? and #")
	}
	return nil
}

// listener is text in which "off" stands for nothing.
func listener(p *string) binding {
	b := text(p)
	b.set = func(s string) error {
		*p = s
		if s == "off" {
			*p = ""
		}
		return nil
	}
	b.show = func() string {
		if *p == "" {
			return "off"
		}
		return plain(*p)
	}
	return b
}

func checkListen(s string) error {
	if s == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("wants host:port, such as 127.0.0.1:9630")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return errors.New("wants a port from 0 to 65535 after the colon")
	}
	if strings.ContainsAny(host, " /@") {
		return errors.New("wants host:port, such as 127.0.0.1:9630")
	}
	return nil
}

// Loopback tells whether a listen address can be reached from this machine alone.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func checkToken(s string) error {
	if len(s) < 8 {
		return errors.New("wants at least 8 characters")
	}
	for _, c := range s {
		if c <= ' ' || c > '~' {
			return errors.New("wants only visible ASCII characters, no spaces")
		}
	}
	return nil
}
