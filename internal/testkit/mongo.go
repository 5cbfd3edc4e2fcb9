package testkit

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sluice/internal/flow"
)

// What every MongoDB of the testkit is called, and who its root is.
const (
	replicaSet   = "rs0"
	rootUser     = "root"
	rootPassword = "sluice-test"
)

// Mongo is a running MongoDB: one node, a replica set of three, or one that
// the environment offers. Its methods may be called from several goroutines,
// except that Kill, Restart and Stop of one node must not meet.
type Mongo struct {
	opts    MongoOptions
	bin     mongod
	uri     string // external only
	version string
	dir     string
	keyFile string
	nodes   []*node
	stop    sync.Once
	stopErr error
}

// StartMongo starts a MongoDB and waits until it takes writes. ctx bounds the
// start alone; the server lives until Stop, or the end of this process.
func StartMongo(ctx context.Context, o MongoOptions) (*Mongo, error) {
	if uri := externalMongo(); uri != "" && o.plain() {
		m := &Mongo{uri: uri, bin: mongod{origin: "SLUICE_TEST_MONGODB_URI"}}
		if err := m.readVersion(ctx); err != nil {
			return nil, &flow.Error{Op: "use", Object: "SLUICE_TEST_MONGODB_URI", Class: flow.Config, Err: err, Hint: mongodHint}
		}
		running.add(m)
		return m, nil
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, &flow.Error{Op: "start mongod", Class: flow.Config, Err: err}
	}
	bin, err := findMongod(ctx)
	if err != nil {
		return nil, err
	}
	for range 5 {
		m := &Mongo{opts: o, bin: bin}
		if err = m.start(ctx); err == nil {
			running.add(m)
			return m, nil
		}
		log := m.LogTail()
		_ = m.Stop()
		if !bindFailed(log) {
			return nil, &flow.Error{
				Op: "start mongod", Object: bin.path + bin.image, Class: flow.Fatal,
				Err: fmt.Errorf("%w\nend of its log (%s):\n%s", err, m.dir, log), Hint: startHint(log),
			}
		}
	}
	return nil, err
}

// startHint knows the usual reasons.
func startHint(log string) string {
	switch {
	case strings.Contains(log, "libcurl"):
		return "Install libcurl4."
	case strings.Contains(log, "libssl"), strings.Contains(log, "libcrypto"):
		return "This mongod needs OpenSSL 3."
	case strings.Contains(log, "GLIBC"):
		return "This mongod needs glibc 2.35+; set SLUICE_TEST_MONGOD to another one."
	}
	return mongodHint
}

func (m *Mongo) start(ctx context.Context) error {
	dir := m.opts.Dir
	var err error
	if dir == "" {
		if dir, err = newWorkDir("", "mongod"); err != nil {
			return err
		}
	}
	m.dir = dir
	if err := os.MkdirAll(filepath.Join(dir, logsDir), 0o755); err != nil {
		return err
	}
	if m.opts.Auth {
		if err := m.writeKey(); err != nil {
			return err
		}
	}
	for i := range m.opts.Nodes {
		n, err := newNode(ctx, dir, i)
		if err != nil {
			return err
		}
		m.nodes = append(m.nodes, n)
	}
	for _, n := range m.nodes {
		if err := n.start(m.opts, m.bin, m.keyFile); err != nil {
			return err
		}
	}
	for _, n := range m.nodes {
		if err := n.process.await(ctx, func(ctx context.Context) error { return n.answers(ctx) }); err != nil {
			return err
		}
	}
	if err := m.initiate(ctx); err != nil {
		return err
	}
	return m.readVersion(ctx)
}

func (m *Mongo) writeKey() error {
	key := make([]byte, 96)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	m.keyFile = filepath.Join(m.dir, "key")
	return os.WriteFile(m.keyFile, []byte(base64.StdEncoding.EncodeToString(key)), 0o600)
}

// URI reaches the whole replica set; with Auth as root, with a password in it.
func (m *Mongo) URI() string {
	if m.uri != "" {
		return m.uri
	}
	hosts := make([]string, len(m.nodes))
	for i, n := range m.nodes {
		hosts[i] = n.port.addr()
	}
	if m.opts.Standalone {
		return m.uriOf(hosts[0], "directConnection=true")
	}
	return m.uriOf(strings.Join(hosts, ","), "replicaSet="+replicaSet)
}

// DirectURI reaches node i alone.
func (m *Mongo) DirectURI(i int) string {
	if m.uri != "" {
		return m.uri
	}
	return m.uriOf(m.nodes[i].port.addr(), "directConnection=true")
}

func (m *Mongo) uriOf(hosts, query string) string {
	if m.opts.Auth {
		return "mongodb://" + rootUser + ":" + rootPassword + "@" + hosts + "/?" + query + "&authSource=admin"
	}
	return "mongodb://" + hosts + "/?" + query
}

// Version is the server's own word, such as "6.0.5".
func (m *Mongo) Version() string { return m.version }

// String says what it is and where it comes from, for the table of what ran.
func (m *Mongo) String() string {
	kind := "replica set of one"
	switch {
	case m.uri != "":
		kind = "external"
	case m.opts.Standalone:
		kind = "standalone"
	case m.opts.Nodes == 3:
		kind = "replica set of three"
	}
	return fmt.Sprintf("MongoDB %s (%s, from %s)", m.version, kind, m.bin.origin)
}

// errExternal says what can't be done to a server that we did not start.
var errExternal = errors.New("the server of the environment is not ours to break: set Own in the options")

// Kill ends node i at once, as kill -9 does, and waits for it.
func (m *Mongo) Kill(i int) error {
	if m.uri != "" {
		return errExternal
	}
	m.nodes[i].process.Kill()
	return nil
}

// KillPrimary kills the node that is primary and returns its number.
func (m *Mongo) KillPrimary(ctx context.Context) (int, error) {
	i, err := m.Primary(ctx)
	if err != nil {
		return 0, err
	}
	return i, m.Kill(i)
}

// Restart starts node i again at the same port with the same data, ending it
// cleanly first if it still runs, and waits until it answers as a member.
func (m *Mongo) Restart(ctx context.Context, i int) error {
	if m.uri != "" {
		return errExternal
	}
	n := m.nodes[i]
	if err := n.process.Stop(); err != nil {
		return err
	}
	if err := n.start(m.opts, m.bin, m.keyFile); err != nil {
		return err
	}
	if err := n.process.await(ctx, func(ctx context.Context) error { return m.member(ctx, i) }); err != nil {
		return fmt.Errorf("restart mongod: %w\n%s", err, n.logTail())
	}
	return nil
}

// LogTail returns the end of each node's log.
func (m *Mongo) LogTail() string {
	var b strings.Builder
	for _, n := range m.nodes {
		b.WriteString(n.logTail())
	}
	return b.String()
}

// Stop ends all nodes and waits for them; the data go with it, unless they lie
// in a folder of the caller, which is closed cleanly. More calls do nothing.
func (m *Mongo) Stop() error {
	m.stop.Do(func() { m.stopErr = m.shutdown() })
	return m.stopErr
}

func (m *Mongo) shutdown() error {
	running.remove(m)
	if m.uri != "" {
		return nil
	}
	var errs []error
	for _, n := range m.nodes {
		switch {
		case n.process == nil:
		case m.opts.Dir == "":
			n.process.Kill()
		default:
			errs = append(errs, n.process.Stop())
		}
		n.port.release()
	}
	if m.opts.Dir == "" && m.dir != "" {
		errs = append(errs, dropWorkDir(m.dir))
	}
	return errors.Join(errs...)
}

func (m *Mongo) logDir() string {
	if m.dir == "" || m.opts.Dir != "" {
		return ""
	}
	return m.dir
}
