package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"sluice/internal/flow"
)

// capabilities are what the deployment can do, found out by asking and trying.
type capabilities struct {
	version serverVersion
	sharded bool
	// expanded: change streams tell of creations, and UUIDs (6.0).
	expanded bool
	// snapshot: reads at a cluster time of our choice work (5.0).
	snapshot bool
}

// probe asks a server that has answered what it is.
func probe(ctx context.Context, client *mongo.Client, uri string) (capabilities, string, error) {
	var c capabilities
	h, err := sayHello(ctx, client)
	if err != nil {
		return c, "", fault("ask MongoDB what it is at", uri, err)
	}
	if err := h.unfit(uri); err != nil {
		return c, "", err
	}
	if err := h.foreign(uri); err != nil {
		return c, "", err
	}
	c.sharded = h.mongos
	if c.version, err = askVersion(ctx, client, uri); err != nil {
		return c, "", err
	}
	c.expanded = c.version.atLeast(6, 0)
	id, err := identity(ctx, client, h)
	return c, id, err
}

// identity names the deployment, the same for every user and after every
// restart: a replica set by its replicaSetId, which each member adds to any
// reply on request, whatever our rights; a sharded cluster by its clusterId.
// Where neither can be had, the name of the set has to do.
func identity(ctx context.Context, client *mongo.Client, h hello) (string, error) {
	if h.mongos {
		raw, err := client.Database("config").RunCommand(ctx, bson.D{{Key: "find", Value: "version"}, {Key: "limit", Value: 1}}).Raw()
		if err == nil {
			if id, ok := raw.Lookup("cursor", "firstBatch", "0", "clusterId").ObjectIDOK(); ok {
				return id.Hex(), nil
			}
		}
		return "sharded cluster", nil
	}
	raw, err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "ping", Value: 1}, {Key: "$replData", Value: 1}}, anyMember()).Raw()
	if err == nil {
		if id, ok := raw.Lookup("$replData", "replicaSetId").ObjectIDOK(); ok {
			return id.Hex(), nil
		}
	}
	raw, err = client.Database("admin").RunCommand(ctx, bson.D{{Key: "replSetGetConfig", Value: 1}}, anyMember()).Raw()
	if err == nil {
		if id, ok := raw.Lookup("config", "settings", "replicaSetId").ObjectIDOK(); ok {
			return id.Hex(), nil
		}
	}
	return "set:" + h.setName, nil
}

func anyMember() *options.RunCmdOptionsBuilder {
	return options.RunCmd().SetReadPreference(readpref.PrimaryPreferred())
}

// probeSnapshot tries a read at a cluster time, on one collection after the
// other until one says yes or no: capped ones can't, and some may be closed to us.
func (s *Source) probeSnapshot(ctx context.Context) error {
	if !s.caps.version.atLeast(5, 0) {
		return nil
	}
	at, err := s.serverTime(ctx)
	if err != nil {
		return err
	}
	tried := []flow.Namespace{}
	for _, c := range s.collections {
		if c.Kind == KindCollection && c.Refused == nil && len(tried) < 20 {
			tried = append(tried, c.NS)
		}
	}
	for _, p := range s.sel.include {
		if p.db != "" {
			tried = append(tried, flow.Namespace{DB: p.db, Coll: "sluice.probe"})
		}
	}
	for _, ns := range tried {
		cmd := bson.D{
			{Key: "find", Value: ns.Coll},
			{Key: "limit", Value: 1},
			{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}},
			{Key: "readConcern", Value: atClusterTime(at)},
		}
		err := s.client.Database(ns.DB).RunCommand(ctx, cmd, s.copyPref()).Err()
		code, spoke := codeOf(err)
		switch {
		case err == nil:
			s.caps.snapshot = true
			return nil
		case !spoke && !isAuth(err):
			return fault("try a snapshot read of", ns.String(), err)
		case code == 13 || code == 246 || code == 239:
		default:
			return nil
		}
	}
	// No collection to try it on: each copy finds out for itself.
	s.caps.snapshot = true
	return nil
}

func atClusterTime(t bson.Timestamp) bson.D {
	return bson.D{{Key: "level", Value: "snapshot"}, {Key: "atClusterTime", Value: t}}
}

func afterClusterTime(t bson.Timestamp) bson.D {
	return bson.D{{Key: "level", Value: "majority"}, {Key: "afterClusterTime", Value: t}}
}

// serverTime asks the primary for its operationTime and keeps the clock.
func (s *Source) serverTime(ctx context.Context) (bson.Timestamp, error) {
	cmd := bson.D{{Key: "ping", Value: 1}}
	if !s.caps.sharded {
		cmd = append(cmd, bson.E{Key: "$replData", Value: 1})
	}
	raw, err := s.client.Database("admin").RunCommand(ctx, cmd).Raw()
	if err != nil {
		return bson.Timestamp{}, fault("ask MongoDB for its time at", s.uri, err)
	}
	t, i, ok := raw.Lookup("operationTime").TimestampOK()
	if !ok {
		return bson.Timestamp{}, &flow.Error{
			Op: "ask MongoDB for its time at", Object: s.uri, Class: flow.Config,
			Err: fmt.Errorf("its replies have no operationTime"), Hint: "sluice needs a replica set or a sharded cluster",
		}
	}
	now := bson.Timestamp{T: t, I: i}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = later(s.clock, now)
	if ct, ci, ok := raw.Lookup("$replData", "lastOpCommitted", "ts").TimestampOK(); ok {
		s.committed = bson.Timestamp{T: ct, I: ci}
	}
	return now, nil
}
