package archivedb

import (
	"context"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	source "sluice/internal/mongo"
	"sluice/internal/mongo/vitals"
)

// DefaultDatabase holds the rows of the archive.
const DefaultDatabase = "sluice"

// The collections of the archive.
const (
	runsColl       = "archive_runs"
	packsColl      = "archive_packs"
	exceptionsColl = "archive_exceptions"
	marksColl      = "archive_marks"
	ledgerColl     = "archive_ledger"
	holdsColl      = "archive_holds"
	leasesColl     = "leases"
)

// Options say what to connect to.
type Options struct {
	URI     string
	AppName string
	// Database takes the place of DefaultDatabase.
	Database string
	Logger   *slog.Logger
}

// DB is a connection. It is safe from several goroutines.
type DB struct {
	client *mongo.Client
	uri    string // without secrets
	own    *mongo.Database
	log    *slog.Logger
	vitals *vitals.Vitals
	// patience bounds each single question of a survey, on the server.
	patience time.Duration
}

// surveyTime is the patience of every DB.
const surveyTime = 2 * time.Minute

// Open connects. Errors name the cause and the cure.
func Open(ctx context.Context, o Options) (*DB, error) {
	client, uri, err := source.Dial(ctx, o.URI, o.AppName)
	if err != nil {
		return nil, err
	}
	if o.Database == "" {
		o.Database = DefaultDatabase
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	majority := options.Database().SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).SetWriteConcern(writeconcern.Majority())
	return &DB{client: client, uri: uri, own: client.Database(o.Database, majority), log: o.Logger, vitals: vitals.New(client, uri), patience: surveyTime}, nil
}

// Close ends the connection.
func (db *DB) Close(ctx context.Context) error {
	return source.Fault("close the connections to", db.uri, db.client.Disconnect(ctx))
}

// coll returns one of the archive's own collections: majority in and out.
func (db *DB) coll(name string) *mongo.Collection { return db.own.Collection(name) }
