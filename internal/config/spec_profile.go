package config

import "strings"

// Profile says by whose ways the indexes of a flow are written.
type Profile string

// The profiles.
const (
	ProfileNative    Profile = "native"
	ProfileMonstache Profile = "monstache"
)

// WriteMode says how documents are written.
type WriteMode string

// The ways to write.
const (
	WriteIndex  WriteMode = "index"
	WriteUpdate WriteMode = "update"
)

// profileSpec declares by which ways documents are written.
func profileSpec(f *Flow) []field {
	return []field{
		{
			Name: "profile", Into: choice(&f.Profile, ProfileNative, ProfileMonstache), Default: "native", Example: "monstache",
			Doc: "`monstache` goes on with indexes that Monstache 6 has filled: its ids, versions and rendering, and plain indexes without an alias " +
				"(docs/rendering.md tells what it gives up for that). Nothing is indexed again that has not changed.",
		},
		{
			Name: "write", Into: choice(&f.Write, WriteIndex, WriteUpdate), Default: "index", Example: "update",
			Doc: "`index` puts the whole document in place of what is there, guarded by its version. `update` puts its fields into what is there, so that " +
				"those of others stay, and with them those that were removed in MongoDB; nothing guards it but the order of writing (docs/rendering.md).",
		},
	}
}

// crossProfile refuses what a profile, or updates, can't be told to do.
func (d *decoder) crossProfile(f *Flow, path string) {
	fail := func(name, format string, args ...any) {
		at, given := d.places[path+"."+name]
		if !given {
			at = d.places[path+".profile"]
		}
		d.fail(at, path+"."+name, format, args...)
	}
	if f.Write == WriteUpdate {
		const why = "can't stand beside write: update: "
		if f.Pipeline != "" {
			fail("pipeline", why+"a pipeline would see a part of the document")
		}
		if f.On.Delete == DeleteMark {
			fail("on.delete", why+"a mark is put on what the index holds at that version; use remove or keep")
		}
		if f.On.Archive == ArchiveMark {
			fail("on.archive", why+"a mark is put on what the index holds at that version; use remove or keep")
		}
		d.refuseTemplates(f, path, why+"without versions a document that moves can't be told from an older one")
	}
	if f.Profile != ProfileMonstache {
		return
	}
	const why = "can't stand beside profile: monstache"
	for name, other := range map[string]bool{
		"dates": f.Render.Dates != DatesISO8601, "decimals": f.Render.Decimals != DecimalsString, "bad_names": f.Render.BadNames != BadNamesRepair,
	} {
		if other {
			fail("render."+name, why+", which writes values and names as Monstache does; remove it")
		}
	}
	_, given := d.places[path+".render.non_finite"]
	switch {
	case f.Render.NonFinite == NonFiniteNull && !given:
		f.Render.NonFinite = NonFiniteReject
	case f.Render.NonFinite == NonFiniteNull, f.Render.NonFinite == NonFiniteString:
		fail("render.non_finite", "is remove or reject with profile: monstache; reject is its default")
	}
	if x := f.Fields; len(x.Include)+len(x.Exclude)+len(x.Rename)+len(x.Cast)+len(x.Flatten)+len(x.Set)+len(x.Copy) > 0 || x.LowerNames {
		fail("fields", why+", which writes documents as they are")
	}
	d.refuseTemplates(f, path, why+", whose ids are made of _id alone, in the index of the collection")
}

// refuseTemplates refuses templates that depend on a document.
func (d *decoder) refuseTemplates(f *Flow, path, why string) {
	names := strings.NewReplacer("{db}", "", "{collection}", "")
	for _, one := range []struct{ name, text string }{{"index", names.Replace(f.Index)}, {"id", f.ID}, {"routing", f.Routing}} {
		if at := path + "." + one.name; IsTemplate(one.text) {
			d.fail(d.places[at], at, "%s", why)
		}
	}
}
