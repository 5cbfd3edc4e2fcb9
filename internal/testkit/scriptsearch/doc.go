// Package scriptsearch is a search engine that plays scripts: it answers bulk
// requests as it is told (429, 413, a cut answer, silence…), and by itself only
// what a sink needs to start and to have its order checked: indexes, aliases,
// settings, mappings, single documents, versions.
//
// It must not grow into a search engine: there are no queries, no shards, no
// analysis, and what a real engine can be made to do is tested on a real one.
// A call that it does not know is answered with 400, as the engines do.
//
// Failure modes: none of its own; a script step that matches nothing stays in
// the script, and Pending tells so.
package scriptsearch
