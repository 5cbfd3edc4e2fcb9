package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"sluice/internal/flow"
)

// Product is the engine that answers.
type Product string

// The products.
const (
	Elasticsearch Product = "Elasticsearch"
	OpenSearch    Product = "OpenSearch"
)

// Version is a version of the engine.
type Version struct{ Major, Minor, Patch int }

// String returns it as in 8.19.2.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// parseVersion reads "8.19.2", "3.0.0-beta1", "7.17".
func parseVersion(s string) (v Version, ok bool) {
	s, _, _ = strings.Cut(s, "-")
	parts := strings.SplitN(s, ".", 3)
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return Version{}, false
		}
		switch i {
		case 0:
			v.Major = n
		case 1:
			v.Minor = n
		case 2:
			v.Patch = n
		}
	}
	return v, len(parts) > 1
}

// detect finds out product and version and refuses what can't work.
func (c *Client) detect(ctx context.Context) error {
	product, version, err := c.identify(ctx)
	if err != nil {
		return err
	}
	c.product, c.version = product, version
	where := strings.Join(c.bases(), ", ")
	if product == Elasticsearch && version != (Version{}) && (version.Major < 7 || version.Major == 7 && version.Minor < 10) {
		return &flow.Error{
			Op: "open search", Object: where, Class: flow.Config,
			Err:  fmt.Errorf("it is %s %s", product, version),
			Hint: "Elasticsearch from 7.17 and OpenSearch from 1.0 on are supported",
		}
	}
	c.log.LogAttrs(ctx, slog.LevelInfo, "connected to search", slog.String("product", string(product)),
		slog.String("version", version.String()), slog.String("url", where))
	return nil
}

func (c *Client) bases() []string {
	var all []string
	for _, n := range c.nodes.all {
		all = append(all, n.base)
	}
	return all
}

// identify asks GET /, and where that is not served (a distribution without
// the module) the nodes API. It proves the login as well.
func (c *Client) identify(ctx context.Context) (Product, Version, error) {
	ans, err := c.do(ctx, get("/"), nil)
	if err != nil {
		return "", Version{}, err
	}
	if ans.status == http.StatusOK {
		return parseRoot(ans)
	}
	if ans.status == http.StatusBadRequest && strings.Contains(string(ans.body), "HTTP request to an HTTPS server") {
		return "", Version{}, &flow.Error{
			Op: "open search", Object: ans.node, Class: flow.Config,
			Err: errors.New("the answer is that TLS is wanted"), Hint: "write https:// in search.urls",
		}
	}
	if !unserved(ans.status) {
		return "", Version{}, failure("open search", ans.node, parseError(ans))
	}
	return c.identifyByNodes(ctx)
}

// unserved tells whether a status says that there is no such call.
func unserved(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusMethodNotAllowed
}

func parseRoot(ans *answer) (Product, Version, error) {
	var root struct {
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
		Tagline string `json:"tagline"`
	}
	if json.Unmarshal(ans.body, &root) != nil || root.Version.Number == "" {
		return "", Version{}, notAnEngine(ans.node)
	}
	v, ok := parseVersion(root.Version.Number)
	if !ok {
		return "", Version{}, notAnEngine(ans.node)
	}
	if root.Version.Distribution == "opensearch" || strings.Contains(root.Tagline, "OpenSearch") {
		return OpenSearch, v, nil
	}
	return Elasticsearch, v, nil
}

func (c *Client) identifyByNodes(ctx context.Context) (Product, Version, error) {
	ans, err := c.do(ctx, get("/_nodes/_local?filter_path=nodes.*.version"), nil)
	if err != nil {
		return "", Version{}, err
	}
	if ans.status != http.StatusOK && !unserved(ans.status) {
		return "", Version{}, failure("open search", ans.node, parseError(ans))
	}
	var local struct {
		Nodes map[string]struct {
			Version string `json:"version"`
		} `json:"nodes"`
	}
	if ans.status != http.StatusOK || json.Unmarshal(ans.body, &local) != nil {
		return "", Version{}, notAnEngine(ans.node)
	}
	for _, n := range local.Nodes {
		v, ok := parseVersion(n.Version)
		switch {
		case !ok:
		case ans.header.Get("X-Elastic-Product") != "", v.Major >= 5:
			return Elasticsearch, v, nil
		default:
			return OpenSearch, v, nil
		}
	}
	return "", Version{}, notAnEngine(ans.node)
}

func notAnEngine(base string) error {
	return &flow.Error{
		Op: "open search", Object: base, Class: flow.Config,
		Err:  errors.New("what answers is neither Elasticsearch nor OpenSearch"),
		Hint: "check the host, the port and the path in search.urls",
	}
}
