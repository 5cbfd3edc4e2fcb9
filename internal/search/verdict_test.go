package search

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

// judged writes three documents, of which the second gets the answer that is
// given, and compares its verdict.
func judged(t *testing.T) func(op string, status int, typ, reason, cause, want string) {
	return func(op string, status int, typ, reason, cause, want string) {
		t.Helper()
		s := newScript(t)
		item := fmt.Sprintf(`{"%s":{"_index":"orders-000001","status":%d}}`, op, status)
		if typ != "" {
			e := map[string]any{"type": typ, "reason": reason, "index": "orders-000001", "shard": "0", "index_uuid": "u1"}
			if cause != "" {
				ct, cr, _ := strings.Cut(cause, ": ")
				e["caused_by"] = map[string]any{"type": ct, "reason": cr}
			}
			b, _ := json.Marshal(e)
			item = fmt.Sprintf(`{"%s":{"status":%d,"error":%s}}`, op, status, b)
		}
		s.do(bulkOrders, func(c call) (int, string) {
			return 200, bulkAnswer(c, func(i int, _ string) string {
				if i == 1 {
					return item
				}
				return ""
			})
		})
		change := write(t, "b", 7)
		if op == "delete" {
			change = remove(t, "b", 7)
		}
		o := s.options(Route{})
		o.MaxVersion = func() int64 { return 1000 }
		vs, err := openTest(t, o).Sink().Write(t.Context(), batch(write(t, "a", 7), change, write(t, "c", 7)))
		if err != nil {
			t.Errorf("%d %s: %v", status, typ, err)
			return
		}
		if got := outcomes(vs); got != "done "+want+" done" {
			t.Errorf("%s %d %s %s: %s, want %s", op, status, typ, reason, got, want)
		}
		if vs[1].Outcome == flow.Halt || vs[1].Outcome == flow.DeadLetter || vs[1].Outcome == flow.Retry {
			if vs[1].Err == nil {
				t.Errorf("%d %s: no error", status, typ)
			}
		}
	}
}

// The texts are those of real servers: es7 7.17, es8 8.19, es9 9.5, os OpenSearch
// 2 and 3; without a mark, all of them.
func TestS7Verdicts(t *testing.T) {
	f := judged(t)
	f("index", 200, "", "", "", "done")
	f("index", 201, "", "", "", "done")
	f("delete", 200, "", "", "", "done")
	f("delete", 404, "", "", "", "done")
	f("index", 404, "", "", "", "halt:request")

	const conflict = "version_conflict_engine_exception"
	f("index", 409, conflict, "[b]: version conflict, current version [9] is higher than the one provided [7]", "", "superseded")
	f("delete", 409, conflict, "[b]: version conflict, current version [9] is higher than the one provided [7]", "", "superseded")
	f("index", 409, conflict, "[b]: version conflict, current version [1000] is higher than the one provided [7]", "", "superseded")
	f("index", 409, conflict, "[b]: version conflict, current version [1001] is higher than the one provided [7]", "", "halt:foreign_version")
	f("index", 409, conflict, "[current version [5000]]: version conflict, current version [9] is higher than the one provided [7]", "", "superseded")
	f("delete", 409, conflict, "[b]: version conflict, current version [7301461839847227393] is higher than the one provided [7]", "", "halt:foreign_version")
	f("index", 409, "something_else", "?", "", "retry:server_error")

	f("index", 404, "index_not_found_exception", "no such index [orders] and [require_alias] request flag is [true] and [orders] is not an alias", "", "halt:index_missing")
	f("index", 404, "index_not_found_exception", "no such index [orders]", "", "halt:index_missing")
	f("delete", 404, "index_not_found_exception", "no such index [orders]", "", "halt:index_missing")
	f("index", 404, "shard_not_found_exception", "no such shard", "", "retry:unavailable")

	const block = "cluster_block_exception"
	f("index", 429, block, "index [orders-000001] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];", "", "retry:disk_full")
	f("index", 429, block, "index [orders-000001] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block; for more information, see https://www.elastic.co/docs/troubleshoot/elasticsearch/fix-watermark-errors];", "", "retry:disk_full")
	f("index", 403, block, "index [orders-000001] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];", "", "retry:disk_full")
	f("index", 403, block, "index [orders-000001] blocked by: [FORBIDDEN/8/index write (api)];", "", "retry:read_only")
	f("index", 403, block, "index [orders-000001] blocked by: [FORBIDDEN/5/index read-only (api)];", "", "retry:read_only")
	f("index", 403, block, "index [orders-000001] blocked by: [FORBIDDEN/4/index closed];", "", "retry:index_closed")
	f("index", 503, block, "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];", "", "retry:unavailable")
	f("index", 400, "index_closed_exception", "closed", "", "retry:index_closed")

	f("index", 429, "es_rejected_execution_exception", "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, coordinating_operation_bytes=212, max_coordinating_and_primary_bytes=1]", "", "retry:rejected")
	f("index", 429, "rejected_execution_exception", "rejected execution of org.opensearch.transport.TransportService on OpenSearchThreadPoolExecutor[name = n1/write]", "", "retry:rejected")
	f("index", 429, "circuit_breaking_exception", "[parent] Data too large, data for [<http_request>] would be", "", "retry:memory")
	f("index", 429, "unheard_of", "", "", "retry:rejected")
	f("index", 503, "unavailable_shards_exception", "[orders-000001][0] primary shard is not active Timeout: [1m]", "", "retry:unavailable")
	f("index", 503, "process_cluster_event_timeout_exception", "failed to process cluster event (put-mapping) within 30s", "", "retry:unavailable")
	f("index", 503, "node_closed_exception", "node closed", "", "retry:unavailable")
	f("index", 500, "io_exception", "No space left on device", "", "retry:disk_full")
	f("index", 500, "null_pointer_exception", "?", "", "retry:server_error")
	f("index", 507, "unheard_of", "", "", "retry:disk_full")

	f("index", 401, "security_exception", "unable to authenticate", "", "halt:rights")
	f("index", 403, "security_exception", "action [indices:data/write/bulk[s]] is unauthorized for user [sync] with effective roles [r] on indices [orders-000001], this action is granted by the index privileges [delete,index,write,all]", "", "halt:rights")
	f("delete", 403, "security_exception", "no permissions for [indices:data/write/delete] and User [name=sync, backend_roles=[], requestedTenant=null]", "", "halt:rights")
}

func TestS7VerdictsOfDocuments(t *testing.T) {
	f := judged(t)
	// es7, os; then es8, es9
	f("index", 400, "mapper_parsing_exception", "failed to parse field [n] of type [long] in document with id 'b'. Preview of field's value: 'x'", "illegal_argument_exception: For input string: \"x\"", "dead_letter:mapping")
	f("index", 400, "document_parsing_exception", "[1:6] failed to parse field [n] of type [long] in document with id 'b'. Preview of field's value: 'x'", "illegal_argument_exception: For input string: \"x\"", "dead_letter:mapping")
	f("index", 400, "mapper_parsing_exception", "object mapping for [o] tried to parse field [o] as object, but found a concrete value", "", "dead_letter:mapping")
	f("index", 400, "document_parsing_exception", "[1:5] object mapping for [o] tried to parse field [o] as object, but found a concrete value", "", "dead_letter:mapping")
	f("index", 400, "illegal_argument_exception", "mapper [n] cannot be changed from type [long] to [text]", "", "dead_letter:mapping")
	f("index", 400, "illegal_argument_exception", "can't merge a non object mapping [o] with an object mapping", "", "dead_letter:mapping")
	f("index", 400, "strict_dynamic_mapping_exception", "mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed", "", "dead_letter:strict_mapping")
	f("index", 400, "strict_dynamic_mapping_exception", "[1:6] mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed", "", "dead_letter:strict_mapping")
	f("index", 400, "illegal_argument_exception", "Limit of total fields [10] has been exceeded", "", "dead_letter:field_limit")
	f("index", 400, "illegal_argument_exception", "Limit of total fields [10] has been exceeded while adding new fields [3]", "", "dead_letter:field_limit")
	f("index", 400, "document_parsing_exception", "[1:30] failed to parse: Limit of total fields [10] has been exceeded while adding new fields [1]", "illegal_argument_exception: Limit of total fields [10] has been exceeded while adding new fields [1]", "dead_letter:field_limit")
	f("index", 400, "illegal_argument_exception", "Limit of mapping depth [20] has been exceeded due to object field [a.b.c]", "", "dead_letter:field_limit")
	f("index", 400, "mapper_parsing_exception", "failed to parse", "parse_exception: The depth of the field has exceeded the allowed limit of [5]. This limit can be set by changing the [index.mapping.depth.limit] index level setting.", "dead_letter:field_limit")
	f("index", 400, "illegal_argument_exception", "Document contains at least one immense term in field=\"k\" (whose UTF8 encoding is longer than the max length 32766)", "max_bytes_length_exceeded_exception: bytes can be at most 32766 in length; got 40000", "dead_letter:mapping")
	f("index", 400, "illegal_argument_exception", "field name cannot contain only whitespace", "", "dead_letter:document")
	f("index", 400, "x_content_parse_exception", "Duplicate field 'a'", "", "dead_letter:document")
	f("index", 400, "script_exception", "runtime error", "", "dead_letter:ingest_pipeline")
	f("index", 413, "unheard_of", "", "", "dead_letter:too_large")

	f("index", 400, "illegal_argument_exception", "pipeline with id [p] does not exist", "", "halt:index_configuration")
	f("index", 400, "illegal_argument_exception", "no write index is defined for alias [orders]. The write index may be explicitly disabled using is_write_index=false or the alias points to multiple indices without one being designated as a write index", "", "halt:index_configuration")
	f("index", 400, "illegal_argument_exception", "only write ops with an op_type of create are allowed in data streams", "", "halt:index_configuration")
	f("index", 400, "illegal_argument_exception", "number of documents in the index cannot exceed 2147483519", "", "halt:index_configuration")
	f("index", 400, "routing_missing_exception", "routing is required for [orders-000001]/[b]", "", "halt:index_configuration")
	// what a document says does not choose its verdict
	for _, quote := range []string{
		"pipeline with id [p] does not exist", "No space left on device", "flood-stage", "[FORBIDDEN/12/",
		"no write index is defined for alias", "only write ops with an op_type of create", "Number of documents in shard", "current version [5000]",
	} {
		f("index", 400, "mapper_parsing_exception", "failed to parse field [n] of type [long] in document with id 'b'. Preview of field's value: '"+quote+"'", "", "dead_letter:mapping")
		f("index", 400, "illegal_argument_exception", "field ["+quote+"] is odd", "illegal_argument_exception: For input string: \""+quote+"\"", "dead_letter:document")
	}
	f("index", 418, "unheard_of", "", "", "halt:request")
}

// A document that no other is to blame for never holds up the rest, and words
// of the document in the engine's text never change a verdict of another class.
func TestS7OnlyTheDocumentIsPutAside(t *testing.T) {
	s := newScript(t)
	s.do(bulkOrders, func(c call) (int, string) {
		return 200, bulkAnswer(c, func(i int, _ string) string {
			if i%2 == 1 {
				return itemError("index", 400, "mapper_parsing_exception", "failed to parse field [n]")
			}
			return ""
		})
	})
	b := flow.Batch{}
	for i := range 100 {
		b.Changes = append(b.Changes, write(t, fmt.Sprint(i), 1, bson.E{Key: "n", Value: 1}))
	}
	vs, err := s.sink(Route{}).Write(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range vs {
		want := flow.Done
		if i%2 == 1 {
			want = flow.DeadLetter
		}
		if v.Outcome != want {
			t.Errorf("%d: %s", i, v.Outcome)
		}
	}
}

func TestMissingPrivilegeIsNamed(t *testing.T) {
	f := func(reason, want string) {
		t.Helper()
		if got := missingPrivilege(reason); !strings.Contains(got, want) {
			t.Errorf("%s: %s", reason, got)
		}
	}
	f("action [indices:admin/create] is unauthorized for user [x] with effective roles [r] on indices [a], this action is granted by the index privileges [auto_configure,create_index,manage,all]",
		"indices:admin/create; any one of these grants it: auto_configure, create_index, manage, all")
	f("action [cluster:monitor/main] is unauthorized for user [x] with effective roles [], this action is granted by the cluster privileges [monitor,manage,all]",
		"cluster:monitor/main; any one of these grants it: monitor, manage, all")
	f("no permissions for [indices:admin/create] and User [name=x, backend_roles=[], requestedTenant=null]", "indices:admin/create")
	f("no permissions for [] and User [name=x]", "read, write and manage")
}

// An index that goes while we write halts the flow, and a delete, for which
// the engine heeds no require_alias, leaves no index in the alias's name.
func TestS15StrayIndexIsRemoved(t *testing.T) {
	f := func(mappings, count string, deleted int) {
		t.Helper()
		s := newScript(t)
		s.do(bulkOrders, func(c call) (int, string) {
			s.answers["GET /orders"] = func(call) (int, string) {
				return 200, `{"orders":{"aliases":{},"mappings":` + mappings + `,"settings":{}}}`
			}
			return 200, `{"errors":false,"items":[{"delete":{"_index":"orders","status":404}}]}`
		})
		s.say("POST /orders/_refresh", 200, `{}`)
		s.say("GET /orders/_count", 200, count)
		s.say("DELETE /orders", 200, `{"acknowledged":true}`)
		vs, err := s.sink(Route{}).Write(t.Context(), batch(remove(t, "a", 7)))
		if err != nil || outcomes(vs) != "halt:index_missing" {
			t.Fatal(outcomes(vs), err)
		}
		if n := len(s.seen("DELETE /orders")); n != deleted {
			t.Errorf("mappings %s, count %s: %d deletes", mappings, count, n)
		}
	}
	f(`{}`, `{"count":0,"_shards":{"failed":0}}`, 1)
	f(`{}`, `{"count":1,"_shards":{"failed":0}}`, 0)
	f(`{"properties":{"x":{"type":"text"}}}`, `{"count":0,"_shards":{"failed":0}}`, 0)
}
