package monstache

// searchKeys say how the cluster is reached and written to.
func searchKeys() []Key {
	return []Key{
		{
			Name: "elasticsearch-urls", Kind: List, Default: "http://127.0.0.1:9200", Flag: "elasticsearch-url", Env: "ES_URLS", State: Done, Secret: true,
			Does: "`search.urls`. A login inside a URL is used when `elasticsearch-user` is not set.",
		},
		{Name: "elasticsearch-user", Kind: Text, Flag: "elasticsearch-user", Env: "ES_USER", State: Done, Secret: true, Does: "`search.auth.username`."},
		{Name: "elasticsearch-password", Kind: Text, Flag: "elasticsearch-password", Env: "ES_PASS", State: Done, Secret: true, Does: "`search.auth.password`."},
		{Name: "elasticsearch-api-key", Kind: Text, Flag: "elasticsearch-api-key", Env: "ES_API_KEY", State: Done, Secret: true, Does: "`search.auth.api_key`; it comes before user and password."},
		{
			Name: "elasticsearch-pem-file", Kind: Text, Flag: "elasticsearch-pem-file", Env: "ES_PEM", State: Done,
			Does: "`search.tls.ca_file`: trusted instead of the system's. Without an https URL it is not used, and a warning says so.",
		},
		{
			Name: "elasticsearch-validate-pem-file", Kind: Boolean, Default: "true", Flag: "elasticsearch-validate-pem-file", Env: "ES_VALIDATE_PEM", State: Done,
			Does: "`false` is `search.tls.insecure_skip_verify: true`.",
		},
		{Name: "elasticsearch-pki-auth.cert-file", Kind: Text, Env: "ES_PKI_CERT", State: Done, Does: "`search.tls.cert_file`; together with `key-file`."},
		{Name: "elasticsearch-pki-auth.key-file", Kind: Text, Env: "ES_PKI_KEY", State: Done, Does: "`search.tls.key_file`."},
		{
			Name: "elasticsearch-version", Kind: Text, Flag: "elasticsearch-version", State: Differs,
			Does: "Is not needed: the cluster is asked, also whether it is Elasticsearch or OpenSearch. What is no version stops the start, as in Monstache.",
		},
		{
			Name: "elasticsearch-healthcheck-timeout-startup", Kind: Number, Default: "15", State: Done,
			Does: "`search.startup_timeout`: how long a start waits for the cluster; then it ends with 1.",
		},
		{Name: "elasticsearch-healthcheck-timeout", Kind: Number, Default: "5", State: Differs, Does: "Is not needed: a node that fails is left out for a while, and asked again."},
		{Name: "elasticsearch-max-conns", Kind: Number, Default: "4", Flag: "elasticsearch-max-conns", State: Done, Does: "`search.in_flight`: bulk requests at one time, at most 64."},
		{
			Name: "elasticsearch-max-docs", Kind: Number, Default: "-1", Flag: "elasticsearch-max-docs", State: Differs,
			Does: "Is not needed: changes go out as soon as a request is free, so that a lone change never waits for others.",
		},
		{
			Name: "elasticsearch-max-bytes", Kind: Number, Default: "8388608", Flag: "elasticsearch-max-bytes", State: Differs,
			Does: "`search.body_bytes`: how large a bulk request grows, from 1 kB to 90 MB. Without it sluice's own default, 2 MB.",
		},
		{Name: "elasticsearch-max-seconds", Kind: Number, Default: "1", Flag: "elasticsearch-max-seconds", State: Differs, Does: "Is not needed: nothing waits for a time to pass."},
		{
			Name: "elasticsearch-retry", Kind: Boolean, Flag: "elasticsearch-retry", State: Differs,
			Does: "Is always so: what can pass is tried again, with growing pauses; what is the document's own fault is noted as a dead letter, and the rest goes on.",
		},
		{Name: "elasticsearch-client-timeout", Kind: Number, Flag: "elasticsearch-client-timeout", State: Differs, Does: "`search.timeout`, in seconds, up to an hour. Without it 1 minute; Monstache waits for ever."},
		{Name: "gzip", Kind: Boolean, Flag: "gzip", State: Differs, Does: "`search.gzip`: requests are compressed, as Monstache documents it (it compresses only answers)."},
		{Name: "enable-easy-json", Kind: Boolean, Flag: "enable-easy-json", State: Done, Does: "Chooses an encoder that writes the same bytes: there is nothing to do."},
		{Name: "aws-connect.access-key", Kind: Text, Env: "AWS_ACCESS_KEY", State: Later, Secret: true, Does: "Give the keys to the process as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and set `strategy = 2`."},
		{Name: "aws-connect.secret-key", Kind: Text, Env: "AWS_SECRET_KEY", State: Later, Secret: true, Does: "As `access-key`."},
		{Name: "aws-connect.region", Kind: Text, Env: "AWS_REGION", State: Done, Does: "`search.aws.region`. Counts when another key of the table switches signing on."},
		{
			Name: "aws-connect.strategy", Kind: Number, State: Differs,
			Does: "2, 3, 4 and 5 sign with the credentials that the chain of the SDK finds: environment, web identity, profile, container, machine, in this order. 1 does so too, when neither file nor profile is named.",
		},
		{Name: "aws-connect.credentials-file", Kind: Text, State: Later, Does: "Give it to the process as `AWS_SHARED_CREDENTIALS_FILE`, and remove the key."},
		{Name: "aws-connect.profile", Kind: Text, State: Later, Does: "Give it to the process as `AWS_PROFILE`, and remove the key."},
		{Name: "aws-connect.watch-credentials", Kind: Boolean, State: Later, Does: "A file that changes is not noticed; credentials with an end are renewed by themselves."},
		{Name: "aws-connect.credentials-watch-dir", Kind: Text, State: Idle, Does: "Counts with `watch-credentials` alone."},
		{Name: "aws-connect.force-expire", Kind: Text, State: Later, Does: "Credentials with an end are renewed by themselves; others are not."},
	}
}

// indexKeys say what becomes of documents in the cluster.
func indexKeys() []Key {
	return []Key{
		{
			Name: "index-as-update", Kind: Boolean, Flag: "index-as-update", State: Done,
			Does: "`write: update`: fields that the index has and the document lacks stay.",
		},
		{
			Name: "delete-strategy", Kind: Number, Flag: "delete-strategy", State: Differs,
			Does: "0 and 1 are `on.delete: remove`: a document lies in the index of its namespace under its `_id`, and `meta` is not read. 2, and what is no strategy, is `on.delete: keep`.",
		},
		{
			Name: "delete-index-pattern", Kind: Text, Default: "*", Flag: "delete-index-pattern", State: Differs,
			Does: "Is not needed: no delete has to search.",
		},
		{Name: "disable-delete-protection", Kind: Boolean, Flag: "disable-delete-protection", State: Differs, Does: "Is not needed, as the one above."},
		{Name: "routing-namespaces", Kind: List, Flag: "routing-namespace", State: Later, Does: "Scripts can't choose index or routing yet, so there is nothing that its deletes would have to search for: remove it, if no script sets `_meta_monstache.routing`, `parent` or `index`."},
		{
			Name: "dropped-databases", Kind: Boolean, Default: "true", Flag: "dropped-databases", State: Differs,
			Does: "With `dropped-collections` true: a dropped database drops its collections, and their indexes go whatever this says. With `dropped-collections` false indexes stay, whatever this says.",
		},
		{
			Name: "dropped-collections", Kind: Boolean, Default: "true", Flag: "dropped-collections", State: Differs,
			Does: "`on.drop: delete_index`, or `ignore`. An index is deleted only when it holds nothing of another namespace; one that is missing is no error.",
		},
		{Name: "mapping.namespace", Kind: Text, State: Done, Does: "`indexes`: the collection."},
		{Name: "mapping.index", Kind: Text, State: Differs, Does: "`indexes`: the name of its index, in lower case. Two collections in one index are refused."},
		{
			Name: "mapping.pipeline", Kind: Text, State: Differs,
			Does: "`pipeline`, as Monstache documents it (it reads the key and forgets it), where all namespaces are listed and have the same one. Else the start stops.",
		},
		{
			Name: "prune-invalid-json", Kind: Boolean, Flag: "prune-invalid-json", State: Done,
			Does: "`render.non_finite: remove`; without it `reject`: the document is a dead letter, and the rest goes on.",
		},
		{Name: "index-oplog-time", Kind: Boolean, Flag: "index-oplog-time", State: Later, Does: "Adds the time of the change to documents."},
		{Name: "oplog-ts-field-name", Kind: Text, Default: "oplog_ts", Flag: "oplog-ts-field-name", State: Idle, Does: "Counts with `index-oplog-time`, or for the time machine, alone."},
		{Name: "oplog-date-field-name", Kind: Text, Default: "oplog_date", Flag: "oplog-date-field-name", State: Idle, Does: "As the one above."},
		{Name: "oplog-date-field-format", Kind: Text, Default: "2006/01/02 15:04:05", Flag: "oplog-date-field-format", State: Idle, Does: "As the one above."},
	}
}
