package config

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// maxFile is the most bytes that a configuration may have.
const maxFile = 256 << 10

// Overrides are what was given on the command line; empty fields change nothing.
type Overrides struct {
	// MongoDB is --mongodb: mongodb.uri.
	MongoDB string
	// Search is --search: search.urls. A URL may hold a login.
	Search []string
	// Username, Password and APIKey are those of search.auth, from flags or
	// from the environment.
	Username string
	Password string
	APIKey   string
	// CAFile and Insecure are --ca-file and --insecure: search.tls.
	CAFile   string
	Insecure bool
	// State is --state: the directory of the positions.
	State string
	// Listen is --listen: http.listen; "off" for no server.
	Listen string
	// Name, Namespaces, Exclude, Index and SnapshotRate are those of the only
	// flow: --name, --namespace, --exclude, --index, --snapshot-rate. With a
	// file of several flows they are refused.
	Name         string
	Namespaces   []string
	Exclude      []string
	Index        string
	SnapshotRate float64
}

// DefaultFiles are where Load looks when it is given no path, in this order.
func DefaultFiles() []string { return []string{"./sluice.yaml", "/etc/sluice/sluice.yaml"} }

// Load reads, completes and validates a configuration file. An empty path
// means the first of DefaultFiles that exists. Overrides come before the file,
// the file before defaults. Any error is of type Errors and tells everything
// that is wrong.
func Load(path string, over Overrides) (*Config, error) {
	path, text, err := open(path)
	if err != nil {
		return nil, err
	}
	return load(path, text, over, osLookup())
}

// FromFlags makes a configuration of one flow without any file. Any error is
// of type Errors.
func FromFlags(over Overrides) (*Config, error) {
	if over.Name == "" {
		over.Name = "sync"
	}
	c, errs := finish("", &node{kind: nodeMapping}, over, nil)
	if len(errs) > 0 {
		return nil, errs
	}
	return c, nil
}

// open finds and reads the file.
func open(path string) (string, []byte, error) {
	if path != "" {
		text, err := readConfig(path)
		if err != nil {
			return path, nil, Errors{{File: path, Message: err.Error()}}
		}
		return path, text, nil
	}
	for _, p := range DefaultFiles() {
		text, err := readConfig(p)
		switch {
		case err == nil:
			return strings.TrimPrefix(p, "./"), text, nil
		case !errors.Is(err, fs.ErrNotExist):
			return p, nil, Errors{{File: p, Message: err.Error()}}
		}
	}
	return "", nil, Errors{{Message: "no configuration: neither " + strings.Join(DefaultFiles(), " nor ") +
		" is there; name one with --config, or run one flow without a file: sluice sync --help"}}
}

func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			return nil, p.Err
		}
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, errors.New("can't be read: is it a directory?")
	case len(text) > maxFile:
		return nil, errors.New("is larger than 256 KiB: is it a configuration at all?")
	}
	return text, nil
}

// load is Load on text that was read.
func load(path string, text []byte, over Overrides, look lookup) (*Config, error) {
	r := &reader{file: path, lookup: look}
	root := r.read(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if root == nil {
		return nil, r.errs
	}
	if root.kind == nodeNull {
		root.kind = nodeMapping
	}
	if root.kind != nodeMapping {
		r.errs = append(r.errs, root.at.fault("the file must be a map of sections: mongodb, search, flows, archive, …"))
		return nil, r.errs.sorted()
	}
	c, errs := finish(path, root, over, r.errs)
	if len(errs) == 0 {
		errs = c.readScripts(look.file)
	}
	if len(errs) > 0 {
		return nil, errs.sorted()
	}
	return c, nil
}

// finish decodes the tree with the flags on top.
func finish(path string, root *node, over Overrides, errs Errors) (*Config, Errors) {
	c := &Config{File: path}
	d := &decoder{places: map[string]place{}, errs: errs}
	d.errs = append(d.errs, over.apply(root)...)
	at := root.at
	if path == "" {
		at = place{}
	}
	d.section("", spec(c), root, at)
	c.places = d.places
	c.completeArchive()
	c.moveLogin(d)
	c.cross(d)
	return c, d.errs
}

// apply puts the flags into the tree, where they replace what the file says.
func (o Overrides) apply(root *node) Errors {
	if o.Username != "" || o.APIKey != "" {
		// A login from flags replaces the one of the file as a whole.
		under(root, "search").put("auth", &node{kind: nodeMapping, at: place{flag: "--username"}})
	}
	set := func(flag, value string, path ...string) {
		if value == "" {
			return
		}
		n := root
		for _, key := range path[:len(path)-1] {
			n = under(n, key)
		}
		n.put(path[len(path)-1], flagNode(flag, value))
	}
	set("--mongodb", o.MongoDB, "mongodb", "uri")
	set("--username", o.Username, "search", "auth", "username")
	set("--password", o.Password, "search", "auth", "password")
	set("--api-key", o.APIKey, "search", "auth", "api_key")
	set("--ca-file", o.CAFile, "search", "tls", "ca_file")
	set("--state", o.State, "state", "path")
	set("--listen", o.Listen, "http", "listen")
	if len(o.Search) > 0 {
		under(root, "search").put("urls", flagList("--search", o.Search))
	}
	if o.Insecure {
		n := flagNode("--insecure", "true")
		n.kind = nodeBool
		under(under(root, "search"), "tls").put("insecure_skip_verify", n)
	}
	return o.applyFlow(root)
}

func (o Overrides) applyFlow(root *node) Errors {
	if o.Name == "" && len(o.Namespaces) == 0 && len(o.Exclude) == 0 && o.Index == "" && o.SnapshotRate == 0 {
		return nil
	}
	flows := root.find("flows")
	if flows == nil {
		flows = &node{kind: nodeSequence, items: []*node{{kind: nodeMapping, at: root.at}}, at: root.at}
		root.put("flows", flows)
	}
	if len(flows.items) != 1 || flows.items[0].kind != nodeMapping {
		return Errors{{Flag: "--namespace", Message: "--name, --namespace, --exclude, --index and --snapshot-rate change the only flow of a file; this file doesn't have exactly one"}}
	}
	f := flows.items[0]
	if o.Name != "" {
		f.put("name", flagNode("--name", o.Name))
	}
	if o.Index != "" {
		f.put("index", flagNode("--index", o.Index))
	}
	if o.SnapshotRate != 0 {
		n := flagNode("--snapshot-rate", strconv.FormatFloat(o.SnapshotRate, 'f', -1, 64))
		n.kind = nodeFloat
		under(f, "snapshot").put("rate", n)
	}
	if len(o.Namespaces) > 0 {
		f.put("namespaces", flagList("--namespace", o.Namespaces))
	}
	if len(o.Exclude) > 0 {
		f.put("exclude", flagList("--exclude", o.Exclude))
	}
	return nil
}

// under returns the section of that name, made when there is none.
func under(n *node, key string) *node {
	if v := n.find(key); v != nil && (v.kind == nodeMapping || v.kind == nodeNull) {
		v.kind = nodeMapping
		return v
	}
	v := &node{kind: nodeMapping, at: n.at}
	if slices.ContainsFunc(n.entries, func(e entry) bool { return e.key == key }) {
		return v // not a section: what is there is told as an error
	}
	n.put(key, v)
	return v
}

func flagNode(flag, value string) *node {
	return &node{kind: nodeText, text: value, written: value, at: place{flag: flag}}
}

func flagList(flag string, values []string) *node {
	n := &node{kind: nodeSequence, at: place{flag: flag}}
	for _, v := range values {
		n.items = append(n.items, flagNode(flag, v))
	}
	return n
}
