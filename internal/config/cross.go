package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// moveLogin takes logins out of search.urls into search.auth.
func (c *Config) moveLogin(d *decoder) {
	s := &c.Search
	for i, raw := range s.URLs {
		u, err := url.Parse(raw)
		if err != nil || u.User == nil {
			continue
		}
		at := d.places[fmt.Sprintf("search.urls[%d]", i)]
		name := u.User.Username()
		password, _ := u.User.Password()
		u.User = nil
		s.URLs[i] = u.String()
		if s.Auth == (Auth{}) {
			s.Auth = Auth{Username: name, Password: Secret(password)}
			d.places["search.auth.username"], d.places["search.auth.password"] = at, at
		}
		if s.Auth != (Auth{Username: name, Password: Secret(password)}) {
			d.fail(at, "search.urls", "the login in this URL isn't that of search.auth or of another URL; keep one, in search.auth")
		}
	}
}

// cross checks what concerns more than one field.
func (c *Config) cross(d *decoder) {
	c.crossSearch(d)
	c.crossOperation(d)
	if c.HTTP.Listen != "" && checkListen(c.HTTP.Listen) == nil && !Loopback(c.HTTP.Listen) && c.HTTP.Token == "" {
		d.fail(d.places["http.listen"], "http.listen", "can be reached from other machines: set http.token, or listen on 127.0.0.1")
	}
	names := map[string]place{}
	for i := range c.Flows {
		f := &c.Flows[i]
		path := fmt.Sprintf("flows[%d]", i)
		at := d.places[path+".name"]
		if first, dup := names[f.Name]; dup && f.Name != "" {
			d.fail(at, path+".name", "%s is already the name of the flow at %s", d.shown(path+".name", f.Name), first)
		}
		names[f.Name] = at
		c.crossFlow(d, f, path)
	}
	c.crossMirrors(d)
	c.crossIndexes(d)
	c.crossArchive(d)
}

func (c *Config) crossSearch(d *decoder) {
	a, t := c.Search.Auth, c.Search.TLS
	place := func(p ...string) place {
		for _, one := range p {
			if at, ok := d.places[one]; ok {
				return at
			}
		}
		return d.places["search"]
	}
	switch {
	case a.APIKey != "" && (a.Username != "" || a.Password != ""):
		d.fail(place("search.auth.api_key"), "search.auth", "give username and password, or api_key, not both")
	case a.Username == "" && a.Password != "":
		d.fail(place("search.auth.password"), "search.auth", "password without username")
	case a.Username != "" && a.Password == "":
		d.fail(place("search.auth.username"), "search.auth", "username without password")
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		d.fail(place("search.tls.cert_file", "search.tls.key_file"), "search.tls", "cert_file and key_file come together")
	}
	c.crossReach(d, place)
	https := func(u string) bool { return strings.HasPrefix(strings.ToLower(u), "https:") }
	if t != (TLS{}) && len(c.Search.URLs) > 0 && !slices.ContainsFunc(c.Search.URLs, https) {
		d.fail(place("search.tls"), "search.tls", "no URL in search.urls starts with https://")
	}
}

func (c *Config) crossFlow(d *decoder, f *Flow, path string) {
	if f.Index != "" && !IsTemplate(f.Index) && !f.IsJoin() && len(f.Namespaces) > 0 && (len(f.Namespaces) != 1 || !isPlain(f.Namespaces[0])) {
		d.fail(d.places[path+".index"], path+".index",
			"only for a flow of exactly one plain namespace; use index_prefix, or one flow per namespace")
	}
	if f.Index != "" && f.IndexPrefix != "" {
		d.fail(d.places[path+".index_prefix"], path+".index_prefix", "has no effect beside index; remove one of them")
	}
	allPlain := len(f.Namespaces) > 0 && !slices.ContainsFunc(f.Namespaces, func(p string) bool { return !isPlain(p) })
	if allPlain {
		d.crossFilters(f, f.Filters, path+".filter")
		d.crossFilters(f, f.Where, path+".where")
	}
	for i, ns := range f.Namespaces {
		at := fmt.Sprintf("%s.namespaces[%d]", path, i)
		if isPlain(ns) && !f.Follows(ns) {
			d.fail(d.places[at], at, "%s is also in exclude", d.shown(at, ns))
		}
	}
	c.crossOwnDatabase(d, f, path)
	d.crossJoin(f, path)
	d.crossPriority(f, path)
	d.crossStream(f, path)
	d.crossTakeover(f, path)
	d.crossPlaces(f, path)
	d.crossProfile(f, path)
	d.crossNamed(f, path)
	d.crossDataStream(f, path)
	d.crossFields(f.Fields, path+".fields")
	d.crossRelated(f, path)
	d.crossFiles(f, path)
	d.crossScripts(f, path)
}

// crossFilters refuses plain patterns that a flow of plain namespaces does not follow.
func (d *decoder) crossFilters(f *Flow, filters []Filter, path string) {
	for _, one := range filters {
		if isPlain(one.Pattern) && !slices.Contains(f.Namespaces, one.Pattern) {
			p := path + "[" + one.Pattern + "]"
			d.fail(d.places[p], p, "this flow doesn't follow %s%s", one.Pattern, didYouMean(one.Pattern, f.Namespaces))
		}
	}
}

// crossFields looks at renames and choices that contradict each other.
func (d *decoder) crossFields(f Fields, path string) {
	for i, p := range f.Exclude {
		if slices.Contains(f.Include, p) {
			at := fmt.Sprintf("%s.exclude[%d]", path, i)
			d.fail(d.places[at], at, "%s is also in include", d.shown(at, p))
		}
	}
	to := map[string]string{}
	for _, from := range slices.Sorted(maps.Keys(f.Rename)) {
		target := f.Rename[from]
		if other, dup := to[target]; dup {
			d.fail(d.places[path+".rename"], path+".rename", "%q and %q get the same name",
				other, from)
		}
		to[target] = from
	}
}

// owner is who writes to an index.
type owner struct {
	// what names it in messages.
	what string
	flow int
	ns   string
	at   place
}

// crossIndexes refuses two owners of one index (T33): lower-casing and
// sanitising merge names that MongoDB tells apart.
func (c *Config) crossIndexes(d *decoder) {
	owners := map[string]owner{}
	if c.State.Store == StoreSearch {
		owners[c.State.Index] = owner{what: "state.index", flow: -1}
	}
	if c.DeadLetters.Store == StoreSearch {
		if _, dup := owners[c.DeadLetters.Index]; dup {
			d.fail(d.places["dead_letters.index"], "dead_letters.index", "is the same as state.index")
		}
		owners[c.DeadLetters.Index] = owner{what: "dead_letters.index", flow: -1}
	}
	for i := range c.Flows {
		for j, ns := range c.Flows[i].Namespaces {
			if isPlain(ns) && !IsTemplate(c.Flows[i].Index) && (j == 0 || !c.Flows[i].IsJoin()) {
				c.crossIndex(d, owners, owner{flow: i, ns: ns}, fmt.Sprintf("flows[%d].namespaces[%d]", i, j))
			}
		}
	}
	c.crossSamePattern(d)
}

// crossIndex enters one plain namespace, which is at path, among the owners.
func (c *Config) crossIndex(d *decoder, owners map[string]owner, me owner, path string) {
	f := &c.Flows[me.flow]
	me.at = d.places[path]
	me.what = d.shown(path, me.ns) + " of flow " + c.flowWord(d, me.flow)
	name, err := nameOf(*f, me.ns)
	if err != nil {
		d.fail(me.at, path, "no index can be named after it: %v", err)
		return
	}
	base := fmt.Sprintf("flows[%d].index", me.flow)
	index := "the index"
	if d.places[base].from == "" && d.places[base+"_prefix"].from == "" && me.at.from == "" {
		index += fmt.Sprintf(" %q", name)
	}
	if other, dup := owners[name]; dup {
		d.fail(me.at, path, "%s and %s would share %s; give one of them another index or index_prefix",
			other.what, me.what, index)
		return
	}
	owners[name] = me
	for k := range c.Flows {
		other := &c.Flows[k]
		if k == me.flow || !other.Follows(me.ns) || slices.Contains(other.Namespaces, me.ns) {
			continue
		}
		if theirs, err := nameOf(*other, me.ns); err == nil && theirs == name {
			d.fail(me.at, path, "flow %s follows it as well, into %s; exclude it there, or give one flow an index_prefix",
				c.flowWord(d, k), index)
		}
	}
}

// flowWord names a flow in messages.
func (c *Config) flowWord(d *decoder, i int) string {
	if d.places[fmt.Sprintf("flows[%d].name", i)].from != "" || c.Flows[i].Name == "" {
		return fmt.Sprintf("flows[%d]", i)
	}
	return c.Flows[i].Name
}

// crossSamePattern refuses one pattern in two flows with the same names of indexes.
func (c *Config) crossSamePattern(d *decoder) {
	type key struct{ pattern, prefix string }
	seen := map[key]int{}
	for i := range c.Flows {
		f := &c.Flows[i]
		for j, p := range f.Namespaces {
			if isPlain(p) {
				continue
			}
			k := key{p, f.IndexPrefix}
			if other, dup := seen[k]; dup {
				path := fmt.Sprintf("flows[%d].namespaces[%d]", i, j)
				d.fail(d.places[path], path, "flow %s follows %s as well, into the same indexes; give one of them an index_prefix",
					c.flowWord(d, other), d.shown(path, p))
			}
			seen[k] = i
		}
	}
}

func nameOf(f Flow, ns string) (string, error) {
	db, coll, _ := strings.Cut(ns, ".")
	return IndexName(f, db, coll)
}
