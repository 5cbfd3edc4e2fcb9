package monstache

// commandKeys are flags that no file has.
func commandKeys() []Key {
	return []Key{
		{Name: "f", Kind: Text, Flag: "f", FlagOnly: true, State: Done, Does: "The TOML file. Without it flags and variables alone count; there is no file that is read by itself."},
		{
			Name: "tpl", Kind: Boolean, Flag: "tpl", State: Done, FlagOnly: true,
			Does: "The file is a template of Go over the environment, with the same functions.",
		},
		{Name: "env-delimiter", Kind: Text, Default: ",", Flag: "env-delimiter", FlagOnly: true, State: Done, Does: "What parts the entries of lists in variables."},
		{
			Name: "print-config", Kind: Boolean, Flag: "print-config", FlagOnly: true, State: Differs,
			Does: "Prints the same JSON under the same names, and ends with 0. The API key and logins inside URLs of Elasticsearch are `REDACTED` as well.",
		},
		{Name: "v", Kind: Boolean, Flag: "v", FlagOnly: true, State: Done, Does: "Prints `6.7.17`, the version whose configuration is read, and ends with 0. `sluice version` prints the version of sluice."},
	}
}

// refusedKeys stop Monstache, though its documentation has them.
func refusedKeys() []Key {
	return []Key{
		{Name: "mongo-pem-file", Kind: Any, State: Warned, Does: "Has no effect: put `tlsCAFile=PATH` into `mongo-url`."},
		{Name: "mongo-validate-pem-file", Kind: Any, State: Warned, Does: "Has no effect: put `tlsInsecure=true` into `mongo-url` if certificates shall not be checked."},
		{Name: "mongo-dial-settings.*", Kind: Any, State: Warned, Does: "Has no effect: put `tls=true`, `connectTimeoutMS=…` and the like into `mongo-url`."},
		{Name: "mongo-session-settings.*", Kind: Any, State: Warned, Does: "Has no effect: put `socketTimeoutMS=…` and the like into `mongo-url`."},
		{Name: "mongo-x509-settings.*", Kind: Any, State: Warned, Does: "Has no effect: put `tlsCertificateKeyFile=PATH` and `authMechanism=MONGODB-X509` into `mongo-url`."},
		{Name: "mapping.type", Kind: Any, State: Warned, Does: "Has no effect: indexes have had no types since Elasticsearch 7. Remove it."},
		{Name: "elastic-validate-pem-file", Kind: Boolean, State: Warned, Does: "Stands in the sample of Monstache's documentation, and is read as `elasticsearch-validate-pem-file`."},
	}
}

// silentKeys are names of Monstache's own memory, which its file may hold.
func silentKeys() []Key {
	const does = "Monstache takes it and does nothing with it; so does sluice."
	names := []string{"enabletemplate", "envdelimiter", "version", "configfile", "elasticmajorversion", "elasticminorversion"}
	all := make([]Key, 0, len(names))
	for _, name := range names {
		all = append(all, Key{Name: name, Kind: Any, State: Idle, Does: does})
	}
	return all
}
