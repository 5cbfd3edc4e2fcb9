package search

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"sluice/internal/flow"
)

// clusterSettings are those in force, by their flat names.
type clusterSettings map[string]string

// VisitCluster looks at what concerns every index: health, blocks, disks, and
// whether wanted more shards have room.
func (c *Client) VisitCluster(ctx context.Context, wanted int) flow.Findings {
	var f flow.Findings
	ctx, done := context.WithTimeout(ctx, 3*doctorPatience)
	defer done()
	where := strings.Join(c.bases(), ", ")
	set, err := c.clusterSettings(ctx)
	if err != nil && !unseen(&f, "search.cluster", where, err) {
		f.Fail(flow.FindingWarning, "search.cluster", where, err, "")
	}
	c.visitHealth(ctx, &f, where, set, wanted)
	if set != nil {
		judgeBlocks(&f, where, set)
		c.visitDisks(ctx, &f, where, set)
	}
	return f
}

func (c *Client) clusterSettings(ctx context.Context) (clusterSettings, error) {
	var all struct{ Defaults, Persistent, Transient map[string]any }
	err := c.call(ctx, "read the settings of", "the cluster", get("/_cluster/settings?include_defaults=true&flat_settings=true"), &all)
	if err != nil {
		return nil, err
	}
	set := clusterSettings{}
	for _, level := range []map[string]any{all.Defaults, all.Persistent, all.Transient} {
		for k, v := range level {
			set[k] = fmt.Sprint(v)
		}
	}
	return set, nil
}

func (c *Client) visitHealth(ctx context.Context, f *flow.Findings, where string, set clusterSettings, wanted int) {
	var h struct {
		Status     string `json:"status"`
		DataNodes  int    `json:"number_of_data_nodes"`
		Active     int    `json:"active_shards"`
		Unassigned int    `json:"unassigned_shards"`
		Starting   int    `json:"initializing_shards"`
	}
	if err := c.call(ctx, "read the health of", "the cluster", get("/_cluster/health"), &h); err != nil {
		if !unseen(f, "search.health", where, err) {
			f.Fail(flow.FindingWarning, "search.health", where, err, "")
		}
		return
	}
	if h.Status == "red" {
		f.Add(flow.FindingWarning, "search.health", where, "the cluster is red: some shards are not there at all",
			"writes to such an index fail until its shards are back", "GET /_cluster/allocation/explain tells why")
	} else {
		f.OK("search.health", where, "the cluster is %s", h.Status)
	}
	perNode, err := strconv.Atoi(set["cluster.max_shards_per_node"])
	if err != nil || h.DataNodes == 0 {
		return
	}
	judgeShards(f, where, h.Active+h.Unassigned+h.Starting, perNode*h.DataNodes, wanted)
}

func judgeShards(f *flow.Findings, where string, used, limit, wanted int) {
	const check = "search.shards"
	what := fmt.Sprintf("%d of %d shards are in use, and %d more are wanted for new indexes", used, limit, wanted)
	cure := "delete indexes that are not used, lower number_of_shards and number_of_replicas in settings of the flow, add a node, or raise cluster.max_shards_per_node"
	switch {
	case used+wanted > limit:
		f.Add(flow.FindingError, check, where, what, "the cluster refuses an index beyond cluster.max_shards_per_node", cure)
	case (used+wanted)*10 > limit*9:
		f.Add(flow.FindingWarning, check, where, what, "beyond cluster.max_shards_per_node the cluster refuses new indexes", cure)
	default:
		f.OK(check, where, "%s", what)
	}
}

func judgeBlocks(f *flow.Findings, where string, set clusterSettings) {
	sound := true
	for _, name := range []string{"cluster.blocks.read_only", "cluster.blocks.read_only_allow_delete"} {
		if set[name] == "true" {
			sound = false
			f.Add(flow.FindingError, "search.blocks", where, "the whole cluster is read-only ("+name+")", "nothing can be written or made",
				`PUT /_cluster/settings {"persistent": {"`+name+`": null}, "transient": {"`+name+`": null}}`)
		}
	}
	if sound {
		f.OK("search.blocks", where, "the cluster takes writes")
	}
}
