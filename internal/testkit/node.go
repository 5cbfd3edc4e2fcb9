package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// node is one mongod with its port, data and log; process is nil before its
// first start.
type node struct {
	port    port
	data    string
	log     string
	dir     string
	process *process
}

func newNode(ctx context.Context, dir string, i int) (*node, error) {
	p, err := reservePort(ctx)
	if err != nil {
		return nil, err
	}
	name := "mongod-" + strconv.Itoa(i)
	n := &node{port: p, dir: dir, data: filepath.Join(dir, name), log: filepath.Join(dir, logsDir, name+".log")}
	return n, os.MkdirAll(n.data, 0o755)
}

func (n *node) start(o MongoOptions, bin mongod, keyFile string) (err error) {
	c := command{path: bin.path, args: o.args(n, keyFile), dir: n.dir, log: n.log}
	if bin.image != "" {
		name := fmt.Sprintf("sluice-testkit-%d-%d", os.Getpid(), n.port.number)
		c = inDocker(c, name, bin.image, nil, []string{n.dir}, append([]string{"mongod"}, c.args...))
	}
	n.process, err = run(c)
	return err
}

func (n *node) logTail() string {
	return fmt.Sprintf("--- %s\n%s", filepath.Base(n.log), tail(n.log, 4000))
}

// direct runs fn with a client of this node alone that does not log in.
func (n *node) direct(ctx context.Context, fn func(ctx context.Context, admin *mongo.Database) error) error {
	return withClient(ctx, "mongodb://"+n.port.addr()+"/?directConnection=true", fn)
}

// withClient runs fn with the database admin of a client that lives as long as fn.
func withClient(ctx context.Context, uri string, fn func(ctx context.Context, admin *mongo.Database) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(5 * time.Second))
	if err != nil {
		return err
	}
	defer func() { _ = c.Disconnect(context.WithoutCancel(ctx)) }()
	return fn(ctx, c.Database("admin"))
}

// hello is what a node says of itself.
type hello struct {
	Me       string `bson:"me"`
	Primary  string `bson:"primary"`
	Writable bool   `bson:"isWritablePrimary"`
	Second   bool   `bson:"secondary"`
}

func (n *node) hello(ctx context.Context) (h hello, err error) {
	err = n.direct(ctx, func(ctx context.Context, admin *mongo.Database) error {
		return admin.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&h)
	})
	return h, err
}

func (n *node) answers(ctx context.Context) error {
	if err := canDial(ctx, n.port.addr()); err != nil {
		return err
	}
	_, err := n.hello(ctx)
	return err
}

// member waits for node i to be one that serves.
func (m *Mongo) member(ctx context.Context, i int) error {
	if err := canDial(ctx, m.nodes[i].port.addr()); err != nil {
		return err
	}
	h, err := m.nodes[i].hello(ctx)
	if err == nil && !h.Writable && !h.Second {
		err = errors.New("neither primary nor secondary yet")
	}
	return err
}

// Primary waits for the set to have a primary that takes writes and returns
// its number.
func (m *Mongo) Primary(ctx context.Context) (int, error) {
	if m.uri != "" {
		return 0, errExternal
	}
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for {
		for i, n := range m.nodes {
			if n.process == nil || n.process.exited() {
				continue
			}
			if h, err := n.hello(ctx); err == nil && h.Writable {
				return i, nil
			}
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return 0, fmt.Errorf("no primary: %w\n%s", err, m.LogTail())
		}
	}
}

// initiate makes a replica set of the nodes, waits for its primary, and makes
// the root user.
func (m *Mongo) initiate(ctx context.Context) error {
	if !m.opts.Standalone {
		if err := m.nodes[0].direct(ctx, m.initiateSet); err != nil {
			return fmt.Errorf("replSetInitiate: %w", err)
		}
	}
	i, err := m.Primary(ctx)
	if err != nil || !m.opts.Auth {
		return err
	}
	return m.nodes[i].direct(ctx, createRoot)
}

func createRoot(ctx context.Context, admin *mongo.Database) error {
	return admin.RunCommand(ctx, bson.D{
		{Key: "createUser", Value: rootUser},
		{Key: "pwd", Value: rootPassword},
		{Key: "roles", Value: bson.A{"root"}},
		{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}}},
	}).Err()
}

func (m *Mongo) initiateSet(ctx context.Context, admin *mongo.Database) error {
	members := bson.A{}
	for i, n := range m.nodes {
		members = append(members, bson.D{{Key: "_id", Value: i}, {Key: "host", Value: n.port.addr()}})
	}
	return admin.RunCommand(ctx, bson.D{{Key: "replSetInitiate", Value: bson.D{
		{Key: "_id", Value: replicaSet},
		{Key: "members", Value: members},
		{Key: "settings", Value: bson.D{{Key: "electionTimeoutMillis", Value: 1500}}},
	}}}).Err()
}

func (m *Mongo) readVersion(ctx context.Context) error {
	var info struct {
		Version string `bson:"version"`
	}
	err := patiently(ctx, func() error {
		return withClient(ctx, m.URI(), func(ctx context.Context, admin *mongo.Database) error {
			return admin.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info)
		})
	})
	m.version = info.Version
	return err
}

// patiently calls fn until it succeeds, for at most StartTimeout: a set that has
// just got its primary, or its first user, may not answer at once on a busy
// machine.
func patiently(ctx context.Context, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for {
		err := fn()
		if err == nil {
			return nil
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}
