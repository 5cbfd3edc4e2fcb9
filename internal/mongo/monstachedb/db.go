package monstachedb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// The collections of Monstache.
const (
	timesColl  = "monstache"
	tokensColl = "tokens"
	copiedColl = "directreads"
)

const codeUnauthorized = 13

// Options say where Monstache keeps its state.
type Options struct {
	URI, AppName string
	// Database is its config-database-name, Name its effective resume-name.
	Database, Name string
	// Tokens: its resume-strategy is 1, else 0.
	Tokens bool
}

// DB is a connection to that state. It is safe from several goroutines, but
// Save is called by one.
type DB struct {
	o      Options
	client *mongo.Client
	uri    string // without secrets
	own    *mongo.Database
	// wrote is what was saved last, by stream; "" is that of the time.
	wrote map[string]bson.RawValue
}

// Open connects. Errors name the cause and the cure.
func Open(ctx context.Context, o Options) (*DB, error) {
	client, uri, err := source.Dial(ctx, o.URI, o.AppName)
	if err != nil {
		return nil, err
	}
	own := client.Database(o.Database, options.Database().SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).SetWriteConcern(writeconcern.Majority()))
	return &DB{o: o, client: client, uri: uri, own: own, wrote: map[string]bson.RawValue{}}, nil
}

// Close ends the connection.
func (db *DB) Close(ctx context.Context) error {
	return source.Fault("close the connections to", db.uri, db.client.Disconnect(ctx))
}

// fault is source.Fault with the privileges that coll needs, if they are missing.
func (db *DB) fault(op, coll string, err error, actions ...string) error {
	if err == nil {
		return nil
	}
	err = source.Fault(op, db.o.Name, err)
	var e *flow.Error
	var server mongo.ServerError
	if errors.As(err, &e) && (e.Class == flow.Auth || errors.As(err, &server) && server.HasErrorCode(codeUnauthorized)) {
		e.Class = flow.Auth
		e.Hint = fmt.Sprintf("for takeover the user needs %s on {db: %q, collection: %q}", strings.Join(actions, ", "), db.o.Database, coll)
	}
	return err
}

// foreign says that what lies in coll is not what Monstache writes there.
func (db *DB) foreign(coll string, err error) error {
	return &flow.Error{
		Op: "read Monstache's state", Object: db.o.Database + "." + coll, Class: flow.Config, Err: err,
		Hint: "check takeover.database, name and strategy; without takeover the flow starts anew and copies everything",
	}
}

// Probe tries the right to write that Save and AddCopied need, without writing
// anything, so that a missing one shows at the start.
func (db *DB) Probe(ctx context.Context) error {
	coll := timesColl
	if db.o.Tokens {
		coll = tokensColl
	}
	none := bson.D{{Key: "_id", Value: db.o.Name}, {Key: "$nor", Value: bson.A{bson.D{}}}}
	for _, name := range []string{coll, copiedColl} {
		_, err := db.own.Collection(name).UpdateOne(ctx, none, bson.D{{Key: "$set", Value: bson.D{{Key: "never", Value: true}}}})
		if err := db.fault("try to keep Monstache's state up to date", name, err, "find", "insert", "update"); err != nil {
			return err
		}
	}
	return nil
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }
