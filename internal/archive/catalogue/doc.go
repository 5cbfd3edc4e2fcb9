// Package catalogue is what lies in the bucket: packs, their manifests and their
// outcomes, under which keys, and what can be asked of them: list, find, cat,
// check, gc, forget, rebuild. It keeps no index: the bucket is the catalogue
// (rule A4).
//
// The keys, below the store's prefix:
//
//	RULE/DB.COLLECTION/2026-11-24/PACK.bson.zst    the pack
//	RULE/DB.COLLECTION/2026-11-24/PACK.manifest    what is in it; makes it count
//	RULE/DB.COLLECTION/2026-11-24/PACK.outcome     what became of its documents
//	_audit/2026-11-24/…json                        what was erased, without content
//
// A pack without a manifest is ignored until GC removes it. A pack that Forget
// wrote anew has the id of the old one with ".r1", ".r2", … behind; the highest
// of them that has a manifest counts, the others are ignored and removed.
//
// It must not talk to MongoDB, must not delete an object whose successor was not
// read back, and must not put a document's content into an error, a log or an
// audit record. Whatever it fails with is a *flow.Error that names the object.
// A manifest or outcome that can't be read is an error, never an absent one: who
// goes on without it might take an old version for the newest.
package catalogue
