package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// each calls f for every field of the specification, with its path.
func each(path string, fields []field, f func(path string, f field)) {
	for _, one := range fields {
		p := join(path, one.Name)
		f(p, one)
		if one.Into.fields != nil {
			each(p, one.Into.fields(), f)
		}
	}
}

// TestSpecIsComplete: each field is documented, its default and its example
// are valid, and it has exactly one kind of binding.
func TestSpecIsComplete(t *testing.T) {
	n := 0
	each("", spec(new(Config)), func(path string, f field) {
		n++
		if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%s: no sentence as documentation", path)
		}
		if (f.When == nil) != (f.WhenDoc == "") {
			t.Errorf("%s: When and WhenDoc come together", path)
		}
		if f.Into.fields != nil {
			return
		}
		if f.Into.schema == nil || f.Into.typ == "" {
			t.Errorf("%s: no type or schema", path)
		}
		if f.Example == "" && f.Into.typ != "true or false" {
			t.Errorf("%s: no example", path)
		}
		for _, text := range []string{f.Default, f.Example} {
			if text != "" {
				checkValue(t, path, f, text)
			}
		}
	})
	if n < 50 {
		t.Errorf("only %d fields seen", n)
	}
}

// checkValue reads one YAML text into one field, with its check.
func checkValue(t *testing.T, path string, f field, text string) {
	t.Helper()
	env := func(string) (string, bool) { return "0123456789", true }
	file := func(string) ([]byte, error) { return []byte("0123456789"), nil }
	r := &reader{file: path, lookup: lookup{env: env, file: file}}
	n := r.read([]byte(f.Name + ": " + text + "\n"))
	d := &decoder{places: map[string]place{}, errs: r.errs}
	if n != nil {
		d.field(path, f, n.find(f.Name))
	}
	if len(d.errs) > 0 {
		t.Errorf("%s: %s isn't valid: %v", path, text, d.errs)
	}
}

// TestSpecCoversConfig: each field of the types is bound by the specification.
// Every leaf is set by its example, then no exported leaf may be zero.
func TestSpecCoversConfig(t *testing.T) {
	got, want := 0, countLeaves(reflect.TypeFor[Config]())
	each("", spec(new(Config)), func(_ string, f field) {
		if f.Into.fields == nil {
			got++
		}
	})
	if got != want-1 { // Config.File is no setting
		t.Errorf("the specification has %d fields, the types %d", got, want-1)
	}
}

func countLeaves(t reflect.Type) int {
	n := 0
	sections := []reflect.Type{reflect.TypeFor[Flow](), reflect.TypeFor[Archive](), reflect.TypeFor[Related](), reflect.TypeFor[Script](), reflect.TypeFor[JoinChild]()}
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Slice && slices.Contains(sections, inner.Elem()) {
			inner = inner.Elem()
		}
		// A value of its own, whatever it is made of.
		value := inner == reflect.TypeFor[Age]() || inner == reflect.TypeFor[Floor]() || inner == reflect.TypeFor[Query]() || inner == reflect.TypeFor[StartAt]()
		if inner.Kind() == reflect.Struct && !value {
			n += countLeaves(inner)
			continue
		}
		n++
	}
	return n
}

// TestSecretsArePlantedEverywhere puts a secret into every place of a
// configuration, one at a time: no message and nothing printed may hold one
// that is in a secret field or came from elsewhere.
func TestSecretsArePlantedEverywhere(t *testing.T) {
	each("", spec(new(Config)), func(path string, f field) {
		for _, value := range []string{"${PLANTED}", `"${PLANTED} x"`, "[\"${PLANTED}\"]", "{\"a\": \"${PLANTED}\"}", "Pl${PLANTED}/@:", "a.${PLANTED}*"} {
			text := textWith(strings.Split(path, "."), value)
			if msg := messages(t, text); strings.Contains(msg, planted) {
				t.Errorf("%s: %s:\n%s", path, value, msg)
			}
		}
		if !f.Into.secret {
			return
		}
		for _, value := range []string{
			planted, "\"" + planted + " x\"", "[" + planted + "]", "{" + planted + ": " + planted + "}",
			"mongodb://u:" + planted + "@h", "mongodb://u:x" + planted, "mongodb://u:" + planted + "@h/?w=" + planted, "!x " + planted, "\"" + planted, "*" + planted,
		} {
			text := textWith(strings.Split(path, "."), value)
			c, err := loadText(text)
			var shown string
			if err != nil {
				shown = err.Error()
			} else {
				shown = printed(t, c)
			}
			if strings.Contains(strings.ReplaceAll(shown, "w="+planted, ""), planted) {
				t.Errorf("%s: %s:\n%s", path, value, shown)
			}
		}
	})
}

// TestMessagesQuoteWithCare: what a message says of a value.
func TestMessagesQuoteWithCare(t *testing.T) {
	f := func(n node, secret bool, want string) {
		t.Helper()
		n.written = n.text
		if got := quote(&n, secret); got != want {
			t.Errorf("quote(%+v, %v) = %s; want %s", n, secret, got, want)
		}
	}
	f(node{kind: nodeText, text: "abc"}, false, `"abc"`)
	f(node{kind: nodeInt, text: "12"}, false, "12")
	f(node{kind: nodeText, text: planted}, true, "what is there")
	f(node{kind: nodeInt, text: "12"}, true, "a number")
	f(node{kind: nodeText, text: planted, at: place{from: "env X"}}, false, "what came from env X")
	f(node{kind: nodeInt, text: "12", at: place{from: "env X"}}, false, "what came from env X")
	f(node{kind: nodeText, text: "http://u:" + planted + "@h"}, false, "what is there")
	f(node{kind: nodeText, text: strings.Repeat("x", 61)}, false, "what is there")
	// The YAML library quotes the file in some of its messages.
	if msg := messages(t, "%YAML "+planted+"\n---\na: 1\n"); strings.Contains(msg, planted) {
		t.Error(msg)
	}
}

// textWith is a configuration with one value at a path, and what is required.
func textWith(path []string, value string) string {
	values := map[string]string{"mongodb.uri": "mongodb://h", "search.urls": "[\"http://h:9200\"]", "flows.name": "shop", "flows.namespaces": "[shop.orders]"}
	target := strings.Join(path, ".")
	if path[0] == "archive" || path[0] == "s3" || path[0] == "governor" || path[0] == "spool" {
		values["archive.name"], values["archive.namespace"], values["archive.field"] = "old", "shop.orders", "at"
		values["archive.older_than"], values["archive.to"] = "92d", "s3://bucket/p"
	}
	values[target] = value
	var b strings.Builder
	var write func(prefix, indent string, fields []field)
	write = func(prefix, indent string, fields []field) {
		for _, f := range fields {
			p := join(prefix, f.Name)
			v, leaf := values[p]
			below := false
			for k := range values {
				below = below || strings.HasPrefix(k, p+".")
			}
			switch {
			case leaf:
				b.WriteString(indent + f.Name + ": " + v + "\n")
			case below && f.Into.list:
				b.WriteString(indent + f.Name + ":\n" + indent + "  -\n")
				write(p, indent+"    ", f.Into.fields())
			case below:
				b.WriteString(indent + f.Name + ":\n")
				write(p, indent+"  ", f.Into.fields())
			}
		}
	}
	write("", "", spec(new(Config)))
	return b.String()
}
