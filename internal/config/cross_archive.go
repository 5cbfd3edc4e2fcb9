package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// completeArchive fills in what depends on other fields, where it isn't given.
func (c *Config) completeArchive() {
	if c.Spool.Path == "" {
		c.Spool.Path = filepath.Join(c.State.Path, "spool")
	}
	for i := range c.Archive {
		a := &c.Archive[i]
		if a.Field == "" && a.Kind == AgeObjectID {
			a.Field = "_id"
		}
		if a.Schedule.Timezone == "" {
			a.Schedule.Timezone = a.Timezone
		}
	}
}

// crossArchive checks what concerns more than one field of the rules.
func (c *Config) crossArchive(d *decoder) {
	if len(c.Archive) == 0 {
		return
	}
	if (c.S3.AccessKey == "") != (c.S3.SecretKey == "") || c.S3.SessionToken != "" && c.S3.AccessKey == "" {
		d.fail(d.places["s3"], "s3", "access_key and secret_key come together, and session_token only with them; or none of them, for the SDK's chain")
	}
	if _, given := d.places["s3"]; given && !c.usesS3() {
		d.fail(d.places["s3"], "s3", "no rule in archive goes to s3://")
	}
	if len(c.Flows) == 0 && c.State.Store == StoreSearch {
		d.fail(d.places["state.store"], "state.store", "there is no search engine without flows; use file")
	}
	names := map[string]place{}
	for i := range c.Archive {
		a := &c.Archive[i]
		path := fmt.Sprintf("archive[%d]", i)
		at := d.places[path+".name"]
		if first, dup := names[a.Name]; dup && a.Name != "" {
			d.fail(at, path+".name", "%s is already the name of the rule at %s", d.shown(path+".name", a.Name), first)
		}
		names[a.Name] = at
		c.crossRule(d, a, path)
		for j := range i {
			if same(&c.Archive[j], a) {
				d.fail(d.places[path+".namespace"], path+".namespace",
					"archives and deletes the same documents as the rule at %s; remove one, or tell them apart by filter", d.places[fmt.Sprintf("archive[%d]", j)])
				break
			}
		}
	}
}

// same tells whether two rules would delete each other's documents.
func same(a, b *Archive) bool {
	return a.Delete && b.Delete && a.Namespace == b.Namespace && a.Field == b.Field && a.Filter.text == b.Filter.text && a.Namespace != ""
}

func (c *Config) usesS3() bool {
	for i := range c.Archive {
		if !strings.HasPrefix(c.Archive[i].To, "file:") {
			return true
		}
	}
	return false
}

func (c *Config) crossRule(d *decoder, a *Archive, path string) {
	at := func(field string) place {
		if p, ok := d.places[path+"."+field]; ok {
			return p
		}
		return d.places[path]
	}
	fail := func(field, format string, args ...any) { d.fail(at(field), path+"."+field, format, args...) }
	if a.OlderThan.Calendar() && a.Timezone == "" {
		fail("older_than", "months and years need a calendar: give timezone beside it, such as Europe/Berlin or UTC")
	}
	if a.OlderThan != (Age{}) && !a.OlderThan.Calendar() && a.OlderThan.Fixed < a.MinAge {
		fail("older_than", "is less than min_age, %s: make one larger or the other smaller", Age{Fixed: a.MinAge})
	}
	if isPlain(a.Namespace) && a.Namespace != "" && !a.Covers(a.Namespace) {
		fail("namespace", "%s is also in exclude", d.shown(path+".namespace", a.Namespace))
	}
	if (a.ObjectLock.Mode == "") != (a.ObjectLock.Days == 0) {
		fail("object_lock", "mode and days come together")
	}
	if !a.Delete && a.Soak > 0 {
		fail("soak", "has no effect with delete: false")
	}
	if !a.Delete && a.Shadow {
		fail("shadow", "has no effect with delete: false")
	}
	if c.Spool.Max > 0 && a.PackSize > c.Spool.Max {
		fail("pack_size", "is more than spool.max, %s, holds", c.Spool.Max)
	}
	crossLimits(a.Limits, fail)
}

// crossLimits refuses floors above their ceilings.
func crossLimits(l RuleLimits, fail func(field, format string, args ...any)) {
	if l.DocsPerSecond > 0 && l.MinDocsPerSecond > l.DocsPerSecond {
		fail("limits.min_docs_per_second", "is more than docs_per_second")
	}
	if l.BytesPerSecond > 0 && l.MinBytesPerSecond > l.BytesPerSecond {
		fail("limits.min_bytes_per_second", "is more than bytes_per_second")
	}
}
