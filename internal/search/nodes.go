package search

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"
)

// How long a node that failed is left alone: doubled with every failure.
const (
	firstRest = time.Second
	maxRest   = time.Minute
)

// node is one URL of the cluster.
type node struct {
	base string // without a slash at the end, without a user
	// Guarded by nodes.mu.
	failures int
	until    time.Time
}

// nodes hands out the URLs in turn and leaves dead ones alone for a while.
type nodes struct {
	all  []*node
	mu   sync.Mutex
	next int
}

// parseNodes checks the URLs and takes the user out of them.
func parseNodes(urls []string, auth Auth) (*nodes, Auth, error) {
	if len(urls) == 0 {
		return nil, auth, fmt.Errorf("no URL is given")
	}
	ns := &nodes{}
	for i, s := range urls {
		u, err := url.Parse(s)
		if err != nil { // the error would quote the URL, perhaps with a password
			return nil, auth, fmt.Errorf("URL number %d can't be parsed", i+1)
		}
		if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, auth, fmt.Errorf("%s is no URL such as http://127.0.0.1:9200", u.Redacted())
		}
		if u.User != nil && auth == (Auth{}) {
			auth.Username = u.User.Username()
			auth.Password, _ = u.User.Password()
		}
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		ns.all = append(ns.all, &node{base: strings.TrimRight(u.String(), "/")})
	}
	return ns, auth, nil
}

// pick returns the next node that is not resting and was not tried yet; if
// all others rest, the one that has rested longest. nil: all were tried.
func (ns *nodes) pick(tried []*node) *node {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	now := time.Now()
	var best *node
	for range ns.all {
		n := ns.all[ns.next%len(ns.all)]
		ns.next++
		if contains(tried, n) {
			continue
		}
		if !n.until.After(now) {
			return n
		}
		if best == nil || n.until.Before(best.until) {
			best = n
		}
	}
	return best
}

func contains(list []*node, n *node) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// failed lets a node rest.
func (ns *nodes) failed(n *node) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	rest := min(firstRest<<min(n.failures, 10), maxRest)
	n.failures++
	n.until = time.Now().Add(rest)
}

// works takes a node back.
func (ns *nodes) works(n *node) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	n.failures, n.until = 0, time.Time{}
}
