package config

import (
	"errors"
	"net/url"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// checkURI parses a connection string of MongoDB without connecting or asking
// DNS. The error holds no part of it but the names of options.
func checkURI(uri string) error {
	plain, srv := strings.CutPrefix(uri, "mongodb+srv://")
	if srv {
		host := plain[strings.LastIndexByte(plain, '@')+1:]
		if i := strings.IndexAny(host, "/?"); i >= 0 {
			host = host[:i]
		}
		if strings.ContainsAny(host, ",:") || strings.Count(host, ".") < 2 {
			return errors.New("mongodb+srv:// wants exactly one name such as cluster0.example.net, without a port")
		}
		plain = withoutSRVOptions("mongodb://" + plain)
	} else {
		plain = uri
	}
	if !strings.HasPrefix(plain, "mongodb://") {
		return errors.New("wants a connection string that starts with mongodb:// or mongodb+srv://")
	}
	if _, err := connstring.ParseAndValidate(plain); err != nil {
		return errors.New("the connection string can't be used: " + withoutValues(err.Error()))
	}
	return nil
}

// withoutSRVOptions removes the options that only mongodb+srv:// takes.
func withoutSRVOptions(uri string) string {
	head, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri
	}
	var kept []string
	for opt := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(strings.ToLower(opt), "=")
		if name != "srvmaxhosts" && name != "srvservicename" {
			kept = append(kept, opt)
		}
	}
	if len(kept) == 0 {
		return head
	}
	return head + "?" + strings.Join(kept, "&")
}

// withoutValues cuts from a message of the driver everything that it quotes,
// except for the name of an option: the rest may be part of a password.
func withoutValues(msg string) string {
	msg = strings.TrimPrefix(strings.TrimPrefix(msg, "error parsing uri: "), "error validating uri: ")
	head, rest, quoted := strings.Cut(msg, `"`)
	if strings.HasPrefix(msg, "unescaped") {
		return msg + ": percent-encode special characters, for example / as %2F"
	}
	if !quoted {
		return msg
	}
	if name, _, ok := strings.Cut(rest, `"`); ok && head == "invalid value for " {
		return head + name
	}
	if strings.Contains(head, "escape") {
		return head + "it: percent-encode special characters, for example @ as %40"
	}
	if strings.HasPrefix(head, "port must") {
		return "the port must be a number from 1 to 65535"
	}
	if strings.HasPrefix(head, "invalid host") {
		return "a host is not valid (if the password holds : / @ or %, percent-encode it)"
	}
	return strings.TrimRight(head, " :(=")
}

// isSecretOption tells whether an option of a connection string holds a
// secret, known to the driver or not.
func isSecretOption(name string) bool {
	for _, part := range []string{"password", "passwd", "pwd", "secret", "token"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// redactURI hides password and other secrets of a connection string; of one
// that is broken or unclear it shows the scheme alone.
func redactURI(uri string) string {
	if uri == "" {
		return ""
	}
	scheme, rest, ok := strings.Cut(uri, "://")
	// With a second @ it isn't certain where a password ends.
	if !ok || checkURI(uri) != nil || strings.Count(rest, "@") > 1 {
		if scheme == "mongodb" || scheme == "mongodb+srv" {
			return scheme + "://" + Hidden
		}
		return Hidden
	}
	login, hosts, found := strings.Cut(rest, "@")
	if found {
		user, _, hasPassword := strings.Cut(login, ":")
		if hasPassword {
			user += ":" + Hidden
		}
		rest = user + "@" + hosts
	}
	head, query, hasQuery := strings.Cut(rest, "?")
	if !hasQuery {
		return scheme + "://" + rest
	}
	opts := strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' })
	for i, opt := range opts {
		opts[i] = redactOption(opt)
	}
	return scheme + "://" + head + "?" + strings.Join(opts, "&")
}

func redactOption(opt string) string {
	name, value, _ := strings.Cut(opt, "=")
	lower := strings.ToLower(name)
	if plain, err := url.QueryUnescape(lower); err == nil {
		lower = strings.ToLower(plain)
	}
	if isSecretOption(lower) {
		return name + "=" + Hidden
	}
	if lower != "authmechanismproperties" {
		return opt
	}
	if plain, err := url.QueryUnescape(value); err == nil {
		value = plain
	}
	props := strings.Split(value, ",")
	for i, p := range props {
		key, prop, ok := strings.Cut(p, ":")
		lower := strings.ToLower(key)
		switch {
		case ok && lower != "token_resource" && isSecretOption(lower):
			props[i] = url.QueryEscape(key) + ":" + Hidden
		case ok:
			props[i] = url.QueryEscape(key) + ":" + url.QueryEscape(prop)
		}
	}
	return name + "=" + strings.Join(props, ",")
}
