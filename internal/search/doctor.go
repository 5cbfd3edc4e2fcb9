package search

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sluice/internal/flow"
)

// doctorPatience bounds each request of a preflight.
const doctorPatience = 15 * time.Second

// Visit asks each URL whether it answers, takes our login, and is one of the
// same cluster. The Client is nil when none can be used; else the caller closes
// it. o.Timeout is shortened, for nobody wants to wait.
func Visit(ctx context.Context, o Options) (*Client, flow.Findings) {
	var f flow.Findings
	if o.Timeout <= 0 || o.Timeout > doctorPatience {
		o.Timeout = doctorPatience
	}
	o.Logger = nil
	var good []string
	clusters := map[string]string{}
	for _, u := range o.URLs {
		one := o
		one.URLs = []string{u}
		c, err := Open(ctx, one)
		if err != nil {
			visitFailed(&f, u, err, len(o.URLs) > 1)
			continue
		}
		good = append(good, u)
		f.OK("search.reachable", c.bases()[0], "%s %s answers and takes our login", c.product, c.version)
		if id := c.clusterID(ctx); id != "" {
			clusters[id] = c.bases()[0]
		}
		c.Close()
	}
	if len(clusters) > 1 {
		all := make([]string, 0, len(clusters))
		for _, u := range clusters {
			all = append(all, u)
		}
		f.Add(flow.FindingError, "search.urls", strings.Join(all, ", "), "the URLs are those of different clusters",
			"each would get a part of the documents", "name nodes of one cluster in search.urls")
	}
	if len(good) == 0 {
		for i := range f { // a dead node is no matter only beside a living one
			f[i].Severity = flow.FindingError
		}
		return nil, f
	}
	o.URLs = good
	c, err := Open(ctx, o)
	f.Fail(flow.FindingError, "search.reachable", "", err, "look at search.urls")
	if err != nil {
		return nil, f
	}
	c.judgeVersion(&f)
	return c, f
}

// visitFailed notes why a URL can't be used.
func visitFailed(f *flow.Findings, u string, err error, others bool) {
	check, severity := "search.reachable", flow.FindingError
	switch {
	case flow.ClassOf(err) == flow.Auth:
		check = "search.login"
	case flow.ClassOf(err) == flow.Transient && others:
		severity = flow.FindingWarning
	}
	object := u
	if ns, _, perr := parseNodes([]string{u}, Auth{}); perr == nil {
		object = ns.all[0].base // without a user
	}
	f.Fail(severity, check, object, err, "look at search.urls, and whether the cluster is up")
}

// clusterID is the cluster's own, "" where it does not say.
func (c *Client) clusterID(ctx context.Context) string {
	ans, err := c.do(ctx, get("/"), nil)
	if err != nil || ans.status != http.StatusOK {
		return ""
	}
	var root struct {
		UUID string `json:"cluster_uuid"`
	}
	_ = json.Unmarshal(ans.body, &root) // without it nothing is compared
	if root.UUID == "_na_" {
		return ""
	}
	return root.UUID
}

func (c *Client) judgeVersion(f *flow.Findings) {
	tested := map[Product][]string{Elasticsearch: {"7.17", "8.19", "9.5"}, OpenSearch: {"3.6"}}[c.product]
	where := strings.Join(c.bases(), ", ")
	v := fmt.Sprintf("%d.%d", c.version.Major, c.version.Minor)
	for _, t := range tested {
		if t == v {
			f.OK("search.version", where, "%s %s", c.product, c.version)
			return
		}
	}
	f.Add(flow.FindingInfo, "search.version", where, fmt.Sprintf("it is %s %s", c.product, c.version),
		"sluice was tested on "+string(c.product)+" "+strings.Join(tested, ", "), "")
}

// unseen notes that a right to look is missing, and tells whether err is that,
// or that there is no such call.
func unseen(f *flow.Findings, check, object string, err error) bool {
	switch s := apiErrorOf(err).Status; {
	case s == http.StatusForbidden:
		f.Fail(flow.FindingInfo, check, object, err, "grant monitor on the cluster, to have this looked at")
		return true
	case unserved(s):
		return true // a distribution without it
	}
	return false
}
