package statedb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	source "sluice/internal/mongo"
)

// Where everything lies. The source refuses to follow this database, so a save
// is no change that leads to the next save.
const (
	database        = "sluice"
	checkpointsColl = "checkpoints"
	deadLettersColl = "dead_letters"
)

// home is where the rows of one process lie. In a database that is not ours the
// names of the collections say whose they are.
type home struct{ database string }

func (h home) name() string {
	if h.database == "" {
		return database
	}
	return h.database
}

func (h home) coll(name string) string {
	if h.name() == database {
		return name
	}
	return database + "." + name
}

// patience bounds one request for dead letters: without a majority the caller
// is to learn of it, and try again.
const patience = 30 * time.Second

// Options say what to connect to.
type Options struct {
	URI     string
	AppName string
	// Database is where the rows lie; "" is "sluice". In any other, the collections
	// are called sluice.…, and the source has to be kept from following them.
	Database string
}

// DB is a connection for the stores of one process. It is safe from several
// goroutines.
type DB struct {
	client *mongo.Client
	uri    string // without secrets
	home   home
	own    *mongo.Database
}

// Open connects. Errors name the cause and the cure.
func Open(ctx context.Context, o Options) (*DB, error) {
	client, uri, err := source.Dial(ctx, o.URI, o.AppName)
	if err != nil {
		return nil, err
	}
	at := home{o.Database}
	return &DB{client: client, uri: uri, home: at, own: client.Database(at.name(), durable())}, nil
}

// durable is how everything here is written and read, whatever the URI says.
func durable() *options.DatabaseOptionsBuilder {
	journal := true
	return options.Database().SetReadPreference(readpref.Primary()).SetReadConcern(readconcern.Majority()).
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal})
}

// latest is the read concern of a question after which nothing is in doubt: the
// answer is the primary's newest, and comes when a majority has it. A majority
// read alone may show a new primary's past.
func latest() *options.CollectionOptionsBuilder {
	return options.Collection().SetReadConcern(readconcern.Linearizable())
}

// collection is one of ours.
func (db *DB) collection(name string, opts ...options.Lister[options.CollectionOptions]) *mongo.Collection {
	return db.own.Collection(db.home.coll(name), opts...)
}

// Checkpoints returns the store of the position of a flow.
func (db *DB) Checkpoints(flowName string) *Checkpoints { return &Checkpoints{db: db, flow: flowName} }

// DeadLetters returns the store of the dead letters of a flow.
func (db *DB) DeadLetters(flowName string) *DeadLetters { return &DeadLetters{db: db, flow: flowName} }

// Close ends the connection; the stores can't be used afterwards.
func (db *DB) Close(ctx context.Context) error {
	return source.Fault("close the connections to", db.uri, db.client.Disconnect(ctx))
}
