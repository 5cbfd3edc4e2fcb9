package search

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/internal/flow"
)

// The reasons of verdicts: short stable words for metrics and summaries.
const (
	reasonRejected    = "rejected"
	reasonMemory      = "memory"
	reasonDiskFull    = "disk_full"
	reasonReadOnly    = "read_only"
	reasonClosed      = "index_closed"
	reasonMissing     = "index_missing"
	reasonUnavailable = "unavailable"
	reasonConflict    = "conflict"
	reasonServer      = "server_error"
	reasonOutcome     = "unknown_outcome"
	reasonRights      = "rights"
	reasonForeign     = "foreign_version"
	reasonIndex       = "index_configuration"
	reasonRequest     = "request"
	reasonMapping     = "mapping"
	reasonStrict      = "strict_mapping"
	reasonFields      = "field_limit"
	reasonPipeline    = "ingest_pipeline"
	reasonTooLarge    = "too_large"
	reasonDocument    = "document"
	reasonTranscode   = "transcode"
	reasonKey         = "key"
)

// rule is one line of the table of verdicts: the first that fits counts.
type rule struct {
	// status 0 fits every status; 4 and 5 fit all of 4xx and 5xx.
	status int
	// typ, if set, is the type of the error, or of its innermost cause.
	typ string
	// text, if set, is part of the reason; with ^ before it, its beginning: what
	// follows may quote the document, which must not choose its verdict.
	text    string
	outcome flow.Outcome
	reason  string
	class   flow.Class
	hint    string
}

const (
	hintDiskFull = "a disk of the cluster is nearly full: free space or add a node. " +
		"The engine then lifts the block; before Elasticsearch 7.4 by hand: index.blocks.read_only_allow_delete: null"
	hintReadOnly = "the index or the cluster is blocked for writes: when that is over, lift the block (index.blocks.*: null); the flow waits"
	hintClosed   = "open the index again (POST /INDEX/_open); the flow waits"
	hintMissing  = "the index was deleted while the flow was running: start again, and it is copied again"
	hintForeign  = "documents of this index carry versions that lie ahead of MongoDB's own time: another tool wrote them, or versions made from a clock.\n" +
		"Delete the index and start again, or give the flow another index"
	hintRequest = "the engine refused a whole request; this is no fault of a document. Report it with this message"
)

// rules is the one table of S7, for both products: single items and whole
// answers. 2xx, conflicts and deletes of what is absent are settled before it.
func rules() []rule {
	halt, retry, letter := flow.Halt, flow.Retry, flow.DeadLetter
	all := []rule{
		{status: 401, outcome: halt, reason: reasonRights, class: flow.Auth, hint: "check search.auth"},

		// Blocks come as 429, 403 or 503, by version and kind.
		{typ: "cluster_block_exception", text: "flood-stage", outcome: retry, reason: reasonDiskFull, hint: hintDiskFull},
		{typ: "cluster_block_exception", text: "/12/", outcome: retry, reason: reasonDiskFull, hint: hintDiskFull},
		{typ: "cluster_block_exception", text: "/4/index closed", outcome: retry, reason: reasonClosed, hint: hintClosed},
		{status: 403, typ: "cluster_block_exception", outcome: retry, reason: reasonReadOnly, hint: hintReadOnly},
		{typ: "cluster_block_exception", outcome: retry, reason: reasonUnavailable},
		{typ: "index_closed_exception", outcome: retry, reason: reasonClosed, hint: hintClosed},
		{status: 500, text: "No space left on device", outcome: retry, reason: reasonDiskFull, hint: hintDiskFull},
		{status: 507, outcome: retry, reason: reasonDiskFull, hint: hintDiskFull},

		{status: 429, typ: "circuit_breaking_exception", outcome: retry, reason: reasonMemory},
		{status: 429, outcome: retry, reason: reasonRejected},
		{status: 403, outcome: halt, reason: reasonRights, class: flow.Auth},

		{status: 404, typ: "index_not_found_exception", outcome: halt, reason: reasonMissing, class: flow.Fatal, hint: hintMissing},
		{status: 404, typ: "shard_not_found_exception", outcome: retry, reason: reasonUnavailable},
		{status: 404, outcome: halt, reason: reasonRequest, class: flow.Fatal, hint: "is this the cluster, and its whole path? Check search.urls"},
		{status: 409, outcome: retry, reason: reasonServer},
		{status: 413, outcome: letter, reason: reasonTooLarge},
		{status: 408, outcome: retry, reason: reasonUnavailable},
	}
	all = append(all, indexFaults()...)
	all = append(all, documentFaults()...)
	return append(all,
		rule{status: 500, outcome: retry, reason: reasonServer},
		rule{status: 5, outcome: retry, reason: reasonUnavailable},
		rule{outcome: halt, reason: reasonRequest, class: flow.Fatal, hint: hintRequest})
}

// indexFaults are those for which no document is to blame.
func indexFaults() []rule {
	halt := flow.Halt
	return []rule{
		{
			status: 400, text: "^pipeline with id [", outcome: halt, reason: reasonIndex, class: flow.Config,
			hint: "an ingest pipeline is named that is not there: make it, or take its name out of the flow's pipeline or files.pipeline, or of the index's default_pipeline or final_pipeline",
		},
		{
			status: 400, text: "^no write index is defined for alias", outcome: halt, reason: reasonIndex, class: flow.Config,
			hint: "the alias has several indexes: set is_write_index on the one to write",
		},
		{status: 400, text: "^alias [", typ: "illegal_argument_exception", outcome: halt, reason: reasonIndex, class: flow.Config},
		{
			status: 400, text: "^only write ops with an op_type of create", outcome: halt, reason: reasonIndex, class: flow.Config,
			hint: "this is a data stream, which can't hold documents that change: give the flow another index",
		},
		{
			status: 400, text: "^number of documents in the index cannot exceed", outcome: halt, reason: reasonIndex, class: flow.Config,
			hint: "a shard holds at most 2,147,483,519 documents: make an index with more shards (settings.number_of_shards)",
		},
		{
			status: 400, text: "^Number of documents in shard", outcome: halt, reason: reasonIndex, class: flow.Config,
			hint: "a shard holds at most 2,147,483,519 documents: make an index with more shards (settings.number_of_shards)",
		},
		{
			status: 400, typ: "routing_missing_exception", outcome: halt, reason: reasonIndex, class: flow.Config,
			hint: "the mapping requires routing: give the flow a template for it (routing)",
		},
		{status: 400, typ: "invalid_index_name_exception", outcome: halt, reason: reasonIndex, class: flow.Config},
		{status: 400, typ: "action_request_validation_exception", outcome: halt, reason: reasonRequest, class: flow.Fatal, hint: hintRequest},
	}
}

// documentFaults put a single document aside.
func documentFaults() []rule {
	letter := flow.DeadLetter
	return []rule{
		{
			status: 400, text: "^Error parsing document in field [", outcome: letter, reason: reasonPipeline,
			hint: "the file is damaged or protected, so no text can be read out of it: to have such documents indexed without, " +
				"give files.pipeline an ingest pipeline of your own, with ignore_failure",
		},
		{
			status: 400, text: "String value length (", outcome: letter, reason: reasonTooLarge,
			hint: "a text is longer than the engine's parser takes, 50,000,000 characters, which is a file of 37 MB: leave the field out (fields.exclude), " +
				"set files.max_size, or raise the bound in the engine's jvm.options (OpenSearch: -Dopensearch.xcontent.string.length.max=...)",
		},
		{
			status: 400, typ: "strict_dynamic_mapping_exception", outcome: letter, reason: reasonStrict,
			hint: "the mapping is strict: add the field to it, or take the field out in fields.exclude",
		},
		{
			status: 400, text: "Limit of ", outcome: letter, reason: reasonFields,
			hint: "the index has as many fields as it may: raise the limit that is named, or leave fields out (fields.exclude)",
		},
		{
			status: 400, text: "The depth of the field has exceeded", outcome: letter, reason: reasonFields,
			hint: "the document nests deeper than the index allows: raise index.mapping.depth.limit, or leave the field out (fields.exclude)",
		},
		{status: 400, typ: "mapper_parsing_exception", outcome: letter, reason: reasonMapping},
		{status: 400, typ: "document_parsing_exception", outcome: letter, reason: reasonMapping},
		{status: 400, text: "mapper [", outcome: letter, reason: reasonMapping},
		{status: 400, text: "object mapping", outcome: letter, reason: reasonMapping},
		{status: 400, text: "can't merge a non object mapping", outcome: letter, reason: reasonMapping},
		{
			status: 400, typ: "max_bytes_length_exceeded_exception", outcome: letter, reason: reasonMapping,
			hint: "a value is too long for a keyword: set ignore_above in the mapping of the field",
		},
		{
			status: 400, text: "immense term", outcome: letter, reason: reasonMapping,
			hint: "a value is too long for a keyword: set ignore_above in the mapping of the field",
		},
		{status: 400, typ: "script_exception", outcome: letter, reason: reasonPipeline},
		{status: 400, typ: "ingest_processor_exception", outcome: letter, reason: reasonPipeline},
		{status: 400, outcome: letter, reason: reasonDocument},
	}
}

func (r *rule) fits(e *apiError) bool {
	switch {
	case r.status == 5 && e.Status/100 != 5, r.status > 5 && r.status != e.Status:
		return false
	case r.typ != "" && e.Type != r.typ && !strings.HasPrefix(e.Cause, r.typ+":"):
		return false
	}
	if start, ok := strings.CutPrefix(r.text, "^"); ok {
		return strings.HasPrefix(e.Reason, start)
	}
	return r.text == "" || strings.Contains(e.Reason, r.text) || strings.Contains(e.Cause, r.text)
}

// judge looks an error of the engine up in the table.
func (s *Sink) judge(e *apiError, index string) flow.Verdict {
	for i := range s.rules {
		r := &s.rules[i]
		if !r.fits(e) {
			continue
		}
		f := &flow.Error{Op: "write to index", Object: index, Class: r.class, Err: e, Hint: r.hint}
		switch {
		case f.Class != flow.Unknown:
		case r.outcome == flow.Retry:
			f.Class = flow.Transient
		default:
			f.Class = flow.Document
		}
		if e.Status == 403 && r.outcome == flow.Halt {
			f.Hint = missingPrivilege(e.Reason)
		}
		return flow.Verdict{Outcome: r.outcome, Reason: r.reason, Err: f}
	}
	return flow.Verdict{Outcome: flow.Halt, Reason: reasonRequest, Err: failure("write to index", index, e)}
}

const versionConflict = "version_conflict_engine_exception"

// conflict judges a 409: the index holds a newer version, which is as it should
// be, unless no version of ours can be that new (rule S1).
func (s *Sink) conflict(raw []byte, index string) flow.Verdict {
	if s.update { // somebody else has changed the document at the same time
		return flow.Verdict{Outcome: flow.Retry, Reason: reasonConflict, Err: &flow.Error{
			Op: "write to index", Object: index, Class: flow.Transient, Err: errors.New("somebody else changes the document at the same time"),
		}}
	}
	current, ok := currentVersion(raw)
	if limit := s.limitFor(current); ok && limit > 0 && current > limit {
		return flow.Verdict{Outcome: flow.Halt, Reason: reasonForeign, Err: &flow.Error{
			Op: "write to index", Object: index, Class: flow.Fatal,
			Err:  fmt.Errorf("a document has version %d, and MongoDB's time allows at most %d", current, limit),
			Hint: hintForeign,
		}}
	}
	return flow.Verdict{Outcome: flow.Superseded, Reason: "newer_version"}
}

// limitFor returns the highest version that MongoDB's time allows, 0 if unknown.
// Conflicts are common after a restart, so the server is not asked about
// versions that its time has reached before.
func (s *Sink) limitFor(version int64) int64 {
	if limit := s.reached.Load(); version <= limit || s.client.opts.MaxVersion == nil {
		return limit
	}
	limit := s.client.opts.MaxVersion()
	if limit > 0 {
		limit += s.scheme.offset + s.scheme.slack
	}
	s.reached.Store(limit)
	return limit
}

// currentVersion finds the version that a conflict names. The id, which comes
// first in the text, may hold anything.
func currentVersion(raw []byte) (int64, bool) {
	const before = "current version ["
	i := bytes.LastIndex(raw, []byte(before))
	if i < 0 {
		return 0, false
	}
	digits, _, ok := bytes.Cut(raw[i+len(before):], []byte("]"))
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(string(digits), 10, 64)
	return v, err == nil
}
