package scriptsearch

import (
	"encoding/json"
	"strings"
)

// result is what became of one action.
type result struct {
	action Action
	answer ItemAnswer
	index  string
}

// appendResults renders a bulk answer. Of filter_path it knows two forms: with
// one, the short answer (errors, status, error, _index of deletes); without,
// the long one.
func appendResults(dst []byte, results []result, filter string) []byte {
	failed := "false"
	for _, r := range results {
		if r.answer.Type != "" {
			failed = "true"
		}
	}
	dst = appendHead(dst, failed, filter)
	for i, r := range results {
		if i > 0 {
			dst = append(dst, ',')
		}
		item := map[string]any{"status": r.answer.Status}
		if filter == "" || (r.action.Op == "delete" && strings.Contains(filter, "_index")) {
			item["_index"] = r.index
		}
		if filter == "" {
			item["_id"] = r.action.ID
			if r.answer.Type == "" {
				item["_version"] = r.action.Version
			}
		}
		if r.answer.Type != "" {
			item["error"] = map[string]string{"type": r.answer.Type, "reason": r.answer.Reason, "index": r.index}
		}
		text, _ := json.Marshal(map[string]any{r.action.Op: item})
		dst = append(dst, text...)
	}
	return append(dst, "]}"...)
}

func appendHead(dst []byte, failed, filter string) []byte {
	if filter == "" {
		dst = append(dst, `{"took":1,"errors":`...)
	} else {
		dst = append(dst, `{"errors":`...)
	}
	return append(append(dst, failed...), `,"items":[`...)
}

// appendDone renders an answer in which all n actions are done.
func appendDone(dst []byte, n int, deletes map[int]bool, filter string) []byte {
	dst = appendHead(dst, "false", filter)
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if deletes[i] {
			dst = append(dst, `{"delete":{"status":200}}`...)
		} else {
			dst = append(dst, `{"index":{"status":200}}`...)
		}
	}
	return append(dst, "]}"...)
}
