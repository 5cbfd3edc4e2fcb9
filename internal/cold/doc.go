// Package cold holds the nouns of the archive: what is old, what a run and a
// pack are, what became of a document. The archive, the catalogue, MongoDB's
// side and the bucket's side all speak in them.
//
// It does nothing: it opens no connection and holds no state.
package cold
