package search

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"sluice/internal/flow"
)

// visitDisks compares the disk of each data node with the watermarks.
func (c *Client) visitDisks(ctx context.Context, f *flow.Findings, where string, set clusterSettings) {
	const check = "search.disk"
	const prefix = "cluster.routing.allocation.disk."
	if set[prefix+"threshold_enabled"] == "false" {
		return
	}
	var stats struct {
		Nodes map[string]struct {
			Name string `json:"name"`
			FS   struct {
				Total struct {
					Total     int64 `json:"total_in_bytes"`
					Available int64 `json:"available_in_bytes"`
				} `json:"total"`
			} `json:"fs"`
		} `json:"nodes"`
	}
	err := c.call(ctx, "read the disks of", "the cluster", get("/_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total"), &stats)
	if err != nil {
		if !unseen(f, check, where, err) {
			f.Fail(flow.FindingWarning, check, where, err, "")
		}
		return
	}
	sound := true
	for _, n := range stats.Nodes {
		d := n.FS.Total
		if d.Total == 0 {
			continue
		}
		if severity, mark := judgeDisk(d.Total, d.Available, set); mark != "" {
			sound = false
			f.Add(severity, check, n.Name, fmt.Sprintf("node %s has %d MB of %d MB free, past the watermark %s (%s)",
				n.Name, d.Available>>20, d.Total>>20, mark, set[prefix+"watermark."+mark]), diskMeans(mark),
				"make room (delete indexes that are not used), add disk or a node; or, knowing what it does, raise "+prefix+"watermark."+mark)
		}
	}
	if sound && len(stats.Nodes) > 0 {
		f.OK(check, where, "the disks are below the watermarks")
	}
}

func diskMeans(mark string) string {
	switch mark {
	case "flood_stage":
		return "the engine makes its indexes read-only: every write is refused until there is room"
	case "high":
		return "shards are moved away from the node, and new ones are not placed there"
	}
	return "no new shards are placed on the node"
}

// judgeDisk returns the highest watermark that a disk has passed, "" for none.
func judgeDisk(total, free int64, set clusterSettings) (severity flow.Severity, mark string) {
	for _, m := range []string{"flood_stage", "high", "low"} {
		name := "cluster.routing.allocation.disk.watermark." + m
		least, ok := watermark(set[name], total)
		if !ok {
			continue
		}
		if head, ok := watermark(set[name+".max_headroom"], total); ok && head > 0 {
			least = min(least, head)
		}
		if free >= least {
			continue
		}
		if m == "flood_stage" {
			return flow.FindingError, m
		}
		return flow.FindingWarning, m
	}
	return "", ""
}

// watermark reads "85%", "0.85" or "20gb" as the bytes that have to be free.
func watermark(s string, total int64) (free int64, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if p, isPercent := strings.CutSuffix(s, "%"); isPercent {
		n, err := strconv.ParseFloat(p, 64)
		return int64(float64(total) * (1 - n/100)), err == nil
	}
	for _, u := range []struct {
		unit  string
		shift uint
	}{{"pb", 50}, {"tb", 40}, {"gb", 30}, {"mb", 20}, {"kb", 10}, {"b", 0}} {
		if p, fits := strings.CutSuffix(s, u.unit); fits {
			n, err := strconv.ParseFloat(p, 64)
			return int64(n * float64(int64(1)<<u.shift)), err == nil
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n > 1 {
		return 0, false
	}
	return int64(float64(total) * (1 - n)), true
}
