package mongo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"sluice/internal/flow"
)

// firstAnswer bounds the wait for a first answer when the flow opens, unless
// the URI sets serverSelectionTimeoutMS.
const firstAnswer = 10 * time.Second

// connect makes a client and waits for a first answer.
func connect(ctx context.Context, o Options) (*mongo.Client, *options.ClientOptions, error) {
	co := options.Client().ApplyURI(o.URI)
	if err := co.Validate(); err != nil {
		return nil, nil, &flow.Error{Op: "read the MongoDB URI", Object: redact(o.URI), Class: flow.Config, Err: hide(o.URI, err), Hint: uriHint(err)}
	}
	if co.AppName == nil && o.AppName != "" {
		co.SetAppName(o.AppName)
	}
	// A deadline on a wait for events would make the server's abandoned getMore
	// eat them.
	co.Timeout = nil
	if co.ServerSelectionTimeout == nil {
		co.SetServerSelectionTimeout(firstAnswer)
	}
	co.SetReadConcern(readconcern.Majority())
	client, err := mongo.Connect(co)
	if err != nil {
		return nil, nil, &flow.Error{Op: "prepare the MongoDB client for", Object: redact(o.URI), Class: flow.Config, Err: hide(o.URI, err)}
	}
	if err := client.Ping(ctx, readpref.Nearest()); err != nil {
		err = explain(ctx, co, redact(o.URI), err)
		_ = client.Disconnect(context.WithoutCancel(ctx))
		return nil, nil, err
	}
	return client, co, nil
}

// explain finds out why no server can be used.
func explain(ctx context.Context, co *options.ClientOptions, uri string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if isAuth(err) {
		return &flow.Error{
			Op: "log in to MongoDB", Object: uri, Class: flow.Auth, Err: plain(err),
			Hint: loginHint(co),
		}
	}
	if cure := tlsFault(uri, err); cure != nil {
		return cure
	}
	for _, host := range co.Hosts {
		if cure := certificateFault(ctx, co, host, uri); cure != nil {
			return cure
		}
		if h, ok := helloOf(ctx, co, host); ok {
			if cure := h.unfit(host); cure != nil {
				return cure
			}
		}
	}
	return &flow.Error{
		Op: "connect to MongoDB", Object: uri, Class: flow.Transient, Err: err,
		Hint: "check that the hosts can be reached from here, that replicaSet= names the set, and that TLS fits",
	}
}

// helloOf asks one host alone what it is.
func helloOf(ctx context.Context, co *options.ClientOptions, host string) (hello, bool) {
	one := options.Client().SetHosts([]string{host}).SetDirect(true).SetServerSelectionTimeout(2 * time.Second)
	if co.TLSConfig != nil {
		one.SetTLSConfig(co.TLSConfig)
	}
	client, err := mongo.Connect(one)
	if err != nil {
		return hello{}, false
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(ctx)) }()
	h, err := sayHello(ctx, client)
	return h, err == nil
}

// hello is what a server says of itself.
type hello struct {
	setName string
	mongos  bool
	replSet bool // started with --replSet, not initiated
}

func sayHello(ctx context.Context, client *mongo.Client) (hello, error) {
	raw, err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}},
		options.RunCmd().SetReadPreference(readpref.PrimaryPreferred())).Raw()
	if err != nil {
		return hello{}, err
	}
	var h hello
	h.setName, _ = raw.Lookup("setName").StringValueOK()
	msg, _ := raw.Lookup("msg").StringValueOK()
	h.mongos = msg == "isdbgrid"
	h.replSet, _ = raw.Lookup("isreplicaset").BooleanOK()
	return h, nil
}

// unfit returns an error with the whole cure if the server has no change streams.
func (h hello) unfit(host string) error {
	switch {
	case h.setName != "" || h.mongos:
		return nil
	case h.replSet:
		return &flow.Error{
			Op: "use MongoDB at", Object: host, Class: flow.Config,
			Err:  errors.New("it was started as a member of a replica set that was never initiated"),
			Hint: "run once, in mongosh on that host:  rs.initiate()",
		}
	}
	return &flow.Error{
		Op: "use MongoDB at", Object: host, Class: flow.Config,
		Err: errors.New("it is a standalone server, which has no change streams; a replica set of one is enough"),
		Hint: "1. start mongod with  --replSet rs0  (or in mongod.conf:  replication: {replSetName: rs0})\n" +
			"2. if users are on, it also wants a key file:  openssl rand -base64 756 > /etc/mongodb.key;\n" +
			"   chmod 0400 and chown it to the user that runs mongod;  --keyFile /etc/mongodb.key  (security: {keyFile: ...})\n" +
			"3. once, in mongosh on that host:  rs.initiate()\n" +
			"The data stay as they are; add  ?replicaSet=rs0  to the URI.",
	}
}

// redact returns uri without its password.
func redact(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return "(no URI)"
	}
	// A password with an unescaped slash ends after it: the last @ counts.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		return scheme + "://***@" + hostsOnly(rest[at+1:])
	}
	return scheme + "://" + hostsOnly(rest)
}

func hostsOnly(s string) string {
	if end := strings.IndexAny(s, "/?"); end >= 0 {
		return s[:end]
	}
	return s
}

// hide takes what may be a secret of uri out of err.
func hide(uri string, err error) error {
	text := err.Error()
	_, rest, _ := strings.Cut(uri, "://")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		_, secret, _ := strings.Cut(rest[:at], ":")
		for _, s := range []string{rest[:at], secret, unescape(secret)} {
			if s != "" {
				text = strings.ReplaceAll(text, s, "***")
			}
		}
	}
	return errors.New(text)
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// serverVersion is a version by its first three numbers.
type serverVersion [3]int32

func (v serverVersion) atLeast(major, minor int32) bool {
	return v[0] > major || v[0] == major && v[1] >= minor
}

// String returns "6.0.5".
func (v serverVersion) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }
