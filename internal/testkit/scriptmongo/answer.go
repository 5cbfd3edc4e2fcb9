package scriptmongo

import (
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// answer runs one command; an error closes the connection.
func (s *Server) answer(m message) (bson.Raw, error) {
	c, err := parseCommand(m.doc)
	if err != nil {
		return nil, err
	}
	reply, err := s.run(c)
	var fault *Error
	switch {
	case errors.As(err, &fault):
		reply = fault.doc()
	case err != nil:
		return nil, err
	case !has(reply, "ok"):
		reply = append(reply, bson.E{Key: "ok", Value: 1.0})
	}
	now := s.Clock()
	if !s.opts.Mongos && !has(reply, "operationTime") {
		reply = append(reply, bson.E{Key: "operationTime", Value: now})
	}
	reply = append(reply, bson.E{Key: "$clusterTime", Value: bson.D{
		{Key: "clusterTime", Value: now},
		{Key: "signature", Value: bson.D{{Key: "hash", Value: bson.Binary{Data: make([]byte, 20)}}, {Key: "keyId", Value: int64(0)}}},
	}})
	return bson.Marshal(reply)
}

func has(d bson.D, key string) bool {
	for _, e := range d {
		if e.Key == key {
			return true
		}
	}
	return false
}

func parseCommand(doc bson.Raw) (Command, error) {
	elements, err := doc.Elements()
	if err != nil || len(elements) == 0 {
		return Command{}, errBroken
	}
	db, _ := doc.Lookup("$db").StringValueOK()
	return Command{Name: elements[0].Key(), DB: db, Doc: doc}, nil
}

func (s *Server) run(c Command) (bson.D, error) {
	name := strings.ToLower(c.Name)
	s.mu.Lock()
	if name != "hello" && name != "ismaster" {
		s.commands = append(s.commands, c)
	}
	hook := s.hooks[name]
	var failure error
	if q := s.failures[name]; len(q) > 0 {
		failure, s.failures[name] = q[0], q[1:]
	}
	s.mu.Unlock()
	if failure != nil {
		return nil, failure
	}
	if hook != nil {
		if reply, err := hook(c); reply != nil || err != nil {
			return reply, err
		}
	}
	switch name {
	case "hello", "ismaster":
		return s.hello(), nil
	case "ping", "endsessions", "killsessions", "aborttransaction", "committransaction":
		return bson.D{}, nil
	case "find":
		return s.find(c)
	case "aggregate":
		return s.aggregate(c)
	case "getmore":
		return s.getMore(c)
	case "killcursors":
		return s.killCursors(c), nil
	case "listdatabases":
		return s.listDatabases(), nil
	case "listcollections":
		return s.listCollections(c), nil
	}
	return s.describe(name, c)
}

// describe answers what asks for the server and its set.
func (s *Server) describe(name string, c Command) (bson.D, error) {
	switch name {
	case "buildinfo":
		return bson.D{{Key: "version", Value: s.opts.Version}, {Key: "modules", Value: bson.A{}}, {Key: "maxBsonObjectSize", Value: 16 << 20}}, nil
	case "replsetgetstatus":
		return bson.D{{Key: "set", Value: setName}, {Key: "myState", Value: 1}, {Key: "members", Value: bson.A{bson.D{
			{Key: "_id", Value: 0},
			{Key: "name", Value: s.addr()},
			{Key: "health", Value: 1.0},
			{Key: "state", Value: 1},
			{Key: "stateStr", Value: "PRIMARY"},
			{Key: "optime", Value: bson.D{{Key: "ts", Value: s.Clock()}, {Key: "t", Value: int64(1)}}},
		}}}}, nil
	case "replsetgetconfig":
		return bson.D{{Key: "config", Value: bson.D{
			{Key: "_id", Value: setName},
			{Key: "version", Value: 1},
			{Key: "members", Value: bson.A{bson.D{{Key: "_id", Value: 0}, {Key: "host", Value: s.addr()}}}},
			{Key: "settings", Value: bson.D{{Key: "replicaSetId", Value: s.opts.ReplicaSetID}}},
		}}}, nil
	case "connectionstatus":
		return bson.D{{Key: "authInfo", Value: bson.D{{Key: "authenticatedUsers", Value: bson.A{}}, {Key: "authenticatedUserPrivileges", Value: bson.A{}}}}}, nil
	case "count":
		return s.count(c), nil
	}
	return nil, &Error{Code: 59, Name: "CommandNotFound", Message: "no such command: '" + c.Name + "'"}
}

func (s *Server) hello() bson.D {
	now := time.Now()
	d := bson.D{
		{Key: "helloOk", Value: true},
		{Key: "ismaster", Value: true},
		{Key: "isWritablePrimary", Value: true},
		{Key: "maxBsonObjectSize", Value: int32(16 << 20)},
		{Key: "maxMessageSizeBytes", Value: int32(48_000_000)},
		{Key: "maxWriteBatchSize", Value: int32(100_000)},
		{Key: "localTime", Value: now},
		{Key: "logicalSessionTimeoutMinutes", Value: int32(30)},
		{Key: "connectionId", Value: int32(1)},
		{Key: "minWireVersion", Value: int32(0)},
		{Key: "maxWireVersion", Value: s.wireVersion()},
		{Key: "readOnly", Value: false},
	}
	if s.opts.Mongos {
		return append(d, bson.E{Key: "msg", Value: "isdbgrid"})
	}
	op := bson.D{{Key: "ts", Value: s.Clock()}, {Key: "t", Value: int64(1)}}
	return append(d,
		bson.E{Key: "hosts", Value: bson.A{s.addr()}}, bson.E{Key: "setName", Value: setName}, bson.E{Key: "setVersion", Value: int32(1)},
		bson.E{Key: "secondary", Value: false}, bson.E{Key: "primary", Value: s.addr()}, bson.E{Key: "me", Value: s.addr()},
		bson.E{Key: "lastWrite", Value: bson.D{
			{Key: "opTime", Value: op},
			{Key: "lastWriteDate", Value: now},
			{Key: "majorityOpTime", Value: op},
			{Key: "majorityWriteDate", Value: now},
		}})
}
