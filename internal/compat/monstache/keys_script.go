package monstache

// scriptKeys say how documents are transformed and joined.
func scriptKeys() []Key {
	return []Key{
		{Name: "script.namespace", Kind: Text, State: Done, Does: "`scripts`, `kind: map`: the namespace; without it every one."},
		{Name: "script.script", Kind: Text, State: Differs, Does: "`code`, in the mode `monstache`: see [scripts.md](scripts.md). Scripts run on several processors at a time, so their variables are not shared by all calls; a call is cut after a second; the third argument is always `{}`. A script that sets anything but `skip` in `_meta_monstache` (index, id, routing, parent, pipeline, version) is not yet carried out: the start stops."},
		{Name: "script.path", Kind: Text, State: Differs, Does: "`path`, from the working directory; else as `script.script`."},
		{Name: "script.routing", Kind: Boolean, State: Later, Does: "As `routing-namespaces`."},
		{Name: "filter.namespace", Kind: Text, State: Done, Does: "`scripts`, `kind: filter`: the namespace; without it every one."},
		{Name: "filter.script", Kind: Text, State: Done, Does: "`code`."},
		{Name: "filter.path", Kind: Text, State: Done, Does: "`path`, from the working directory."},
		{Name: "filter.routing", Kind: Boolean, State: Idle, Does: "Is read in `[[script]]` alone."},
		{Name: "pipeline.namespace", Kind: Text, State: Later, Does: "Stages for MongoDB, made by a script. What they leave out, `[[filter]]` and `[[script]]` can leave out; in a `sluice.yaml`, `filter` and `where` do."},
		{Name: "pipeline.script", Kind: Text, State: Later, Does: "As `pipeline.namespace`."},
		{Name: "pipeline.path", Kind: Text, State: Later, Does: "As `pipeline.namespace`."},
		{Name: "pipeline.routing", Kind: Boolean, State: Idle, Does: "Is read in `[[script]]` alone."},
		{Name: "pipe-allow-disk", Kind: Boolean, Flag: "pipe-allow-disk", State: Differs, Does: "For `pipe()`: is left to the server, which allows it by itself from MongoDB 6.0 on."},
		{Name: "mapper-plugin-path", Kind: Text, Flag: "mapper-plugin-path", State: Later, Does: "A plug-in of Go fits only the very program that it was built with. Write what it does as a script."},
		{Name: "post-processors", Kind: Number, Flag: "post-processors", State: Idle, Does: "Counts for a plug-in with Process alone."},
		{Name: "relate.namespace", Kind: Text, State: Later, Does: "Joins. In a `sluice.yaml`, `related` writes documents again that show a changed one."},
		{Name: "relate.with-namespace", Kind: Text, State: Later, Does: "As `relate.namespace`."},
		{Name: "relate.src-field", Kind: Text, Default: "_id", State: Later, Does: "As `relate.namespace`."},
		{Name: "relate.match-field", Kind: Text, Default: "_id", State: Later, Does: "As `relate.namespace`."},
		{Name: "relate.match-field-type", Kind: Text, State: Later, Does: "As `relate.namespace`."},
		{Name: "relate.keep-src", Kind: Boolean, State: Later, Does: "As `relate.namespace`."},
		{Name: "relate.max-depth", Kind: Number, State: Later, Does: "As `relate.namespace`."},
		{Name: "relate.dot-notation", Kind: Boolean, State: Later, Does: "As `relate.namespace`."},
		{Name: "relate-threads", Kind: Number, Default: "10", Flag: "relate-threads", State: Idle, Does: "Counts with `[[relate]]` alone."},
		{Name: "relate-buffer", Kind: Number, Default: "1000", Flag: "relate-buffer", State: Idle, Does: "Counts with `[[relate]]` alone."},
	}
}

// fileKeys say what becomes of files of GridFS, and of former states of documents.
func fileKeys() []Key {
	return []Key{
		{
			Name: "index-files", Kind: Boolean, Flag: "index-files", State: Differs,
			Does: "`files`. Without `file-namespaces`, which stops Monstache, the `.files` collections among the configured namespaces are taken; if there is none, a warning says so.",
		},
		{Name: "file-namespaces", Kind: List, Flag: "file-namespace", Env: "FILE_NS", State: Done, Does: "`files.namespaces`. Counts with `index-files` alone."},
		{Name: "file-downloaders", Kind: Number, Default: "10", Flag: "file-downloaders", State: Done, Does: "`files.downloaders`."},
		{Name: "max-file-size", Kind: Number, Flag: "max-file-size", State: Done, Does: "`files.max_size`: of a larger file `file` is empty. Its length is looked at before it is read."},
		{Name: "file-highlighting", Kind: Boolean, Flag: "file-highlighting", State: Idle, Does: "Monstache 6 takes it and does nothing with it."},
		{Name: "disable-file-pipeline-put", Kind: Boolean, Flag: "disable-file-pipeline-put", State: Done, Does: "`files.put_pipeline: false`."},
		{Name: "time-machine-namespaces", Kind: List, Flag: "time-machine-namespace", Env: "TIME_MACHINE_NS", State: Later, Does: "Each state of a document in an index of its day."},
		{Name: "time-machine-index-prefix", Kind: Text, Default: "log", Flag: "time-machine-index-prefix", State: Idle, Does: "Counts with `time-machine-namespaces` alone."},
		{Name: "time-machine-index-suffix", Kind: Text, Default: "2006-01-02", Flag: "time-machine-index-suffix", State: Idle, Does: "Counts with `time-machine-namespaces` alone."},
		{Name: "time-machine-direct-reads", Kind: Boolean, Flag: "time-machine-direct-reads", State: Idle, Does: "Counts with `time-machine-namespaces` alone."},
		{Name: "enable-patches", Kind: Boolean, Flag: "enable-patches", State: Later, Does: "The list of changes inside each document. Without `patch-namespaces` it has no effect."},
		{Name: "patch-namespaces", Kind: List, Flag: "patch-namespace", Env: "PATCH_NS", State: Idle, Does: "Counts with `enable-patches` alone."},
		{Name: "merge-patch-attribute", Kind: Text, Default: "json-merge-patches", Flag: "merge-patch-attribute", State: Idle, Does: "Counts with `enable-patches` alone."},
	}
}
