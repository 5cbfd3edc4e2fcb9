package search

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"sluice/internal/flow"
)

const hintPressure = "one document is more than the engine ever takes at one time: give its nodes more heap, or raise indexing_pressure.memory.limit " +
	"(a tenth of the heap); for files of GridFS: files.max_size"

// overPressure tells whether an engine has rejected a body that is by itself more
// than it ever takes: to send it again would be in vain.
func overPressure(e *apiError) bool {
	if e.Status != http.StatusTooManyRequests {
		return false
	}
	body, known := numberAfter(e.Reason, "coordinating_operation_bytes=")
	most, bounded := numberAfter(e.Reason, "max_coordinating_and_primary_bytes=")
	if !bounded {
		most, bounded = numberAfter(e.Reason, "max_coordinating_bytes=")
	}
	return known && bounded && body > most
}

// numberAfter reads the whole number behind a word.
func numberAfter(text, word string) (int64, bool) {
	_, rest, found := strings.Cut(text, word)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if !found || end < 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(rest[:end], 10, 64)
	return n, err == nil
}

// tooLarge tells whether an answer says that the body is too large as a whole.
func tooLarge(ans *answer) bool {
	return ans.status == http.StatusRequestEntityTooLarge || ans.status == http.StatusTooManyRequests && overPressure(parseError(ans))
}

// letterOfPressure puts the one document of a body aside.
func letterOfPressure(e *apiError, index string) flow.Verdict {
	return flow.Verdict{Outcome: flow.DeadLetter, Reason: reasonTooLarge, Err: &flow.Error{
		Op: "write to index", Object: index, Class: flow.Document, Err: e, Hint: hintPressure,
	}}
}

// MaxContent returns the largest body that all nodes take, in bytes: by what they
// read, and by what they hold while they index it. 0 where neither can be told.
func (c *Client) MaxContent(ctx context.Context) int64 {
	type node struct {
		HTTP struct {
			Max int64 `json:"max_content_length_in_bytes"`
		} `json:"http"`
		Pressure struct {
			Memory struct {
				Max int64 `json:"limit_in_bytes"`
			} `json:"memory"`
		} `json:"indexing_pressure"`
	}
	least := int64(0)
	for _, path := range []string{
		"/_nodes/http?filter_path=nodes.*.http.max_content_length_in_bytes",
		// Masters alone index nothing, and mostly have less memory.
		"/_nodes/data:true,ingest:true,coordinating_only:true/stats/indexing_pressure?filter_path=nodes.*.indexing_pressure.memory.limit_in_bytes",
	} {
		var all struct {
			Nodes map[string]node `json:"nodes"`
		}
		if c.call(ctx, "look up nodes of", "the cluster", get(path), &all) != nil {
			continue
		}
		for _, n := range all.Nodes {
			for _, most := range []int64{n.HTTP.Max, n.Pressure.Memory.Max} {
				if most > 0 && (least == 0 || most < least) {
					least = most
				}
			}
		}
	}
	return least
}
