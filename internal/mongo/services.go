package mongo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/flow"
)

// What services that speak MongoDB's protocol lack is met here: by a fallback
// where nothing is lost by it, else by a refusal that says what is missing.

// cosmosSet is the name that Azure Cosmos DB for MongoDB (RU) gives itself.
const cosmosSet = "globaldb"

// foreign refuses a service of which it is known that it can't be followed
// truly, although it may seem to work.
func (h hello) foreign(uri string) error {
	if h.setName != cosmosSet && !strings.Contains(strings.ToLower(uri), ".mongo.cosmos.azure.com") {
		return nil
	}
	return &flow.Error{
		Op: "use MongoDB at", Object: uri, Class: flow.Config,
		Err:  errors.New("it is Azure Cosmos DB for MongoDB (RU), whose change streams show no deletes"),
		Hint: "what is deleted there would stay in the index for ever; sluice follows MongoDB itself, wherever it runs: your own servers, Atlas",
	}
}

// versionOf reads what buildInfo says: the array, else the text.
func versionOf(raw bson.Raw) (v serverVersion, ok bool) {
	if array, found := raw.Lookup("versionArray").ArrayOK(); found {
		values, err := array.Values()
		for i := range min(len(v), len(values)) {
			n, _ := values[i].AsInt64OK()
			v[i] = int32(n)
		}
		return v, err == nil && v[0] > 0
	}
	text, _ := raw.Lookup("version").StringValueOK()
	text, _, _ = strings.Cut(text, "-")
	parts := strings.Split(text, ".")
	for i := range min(len(v), len(parts)) {
		n, err := strconv.ParseInt(parts[i], 10, 32)
		if err != nil {
			return serverVersion{}, false
		}
		v[i] = int32(n)
	}
	return v, v[0] > 0
}

// askVersion asks for the version; without it nothing can be assumed.
func askVersion(ctx context.Context, client *mongo.Client, uri string) (serverVersion, error) {
	raw, err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		return serverVersion{}, fault("ask MongoDB for its version at", uri, err)
	}
	v, ok := versionOf(raw)
	switch {
	case !ok:
		return v, &flow.Error{
			Op: "use MongoDB at", Object: uri, Class: flow.Config,
			Err:  errors.New("its buildInfo does not say its version"),
			Hint: "what it can do can't be told; sluice needs MongoDB 4.4 or newer",
		}
	case !v.atLeast(4, 4):
		return v, &flow.Error{
			Op: "use MongoDB at", Object: uri, Class: flow.Config,
			Err:  fmt.Errorf("it is version %s", v),
			Hint: "sluice needs MongoDB 4.4 or newer",
		}
	}
	return v, nil
}

// notServed tells whether a server says that it has no such thing as what was
// asked for.
func notServed(err error, what string) bool {
	code, ok := codeOf(err)
	if !ok {
		return false
	}
	switch code {
	case 9, 59, 72, 115, 238, 303, 40324, 40415: // FailedToParse … CommandNotSupported … not implemented, unknown stage, unknown field
		return strings.Contains(err.Error(), what)
	}
	return false
}

// noStreams tells whether a change stream can't be had, and the cure.
func noStreams(err error) (cure string, no bool) {
	switch {
	case strings.Contains(err.Error(), "modifyChangeStreams"): // Amazon DocumentDB, with the code of lost history
		return "change streams are off here; who runs the server turns them on, for Amazon DocumentDB by\n" +
			`db.adminCommand({modifyChangeStreams: 1, database: "DB", collection: "", enable: true})`, true
	case notServed(err, "$changeStream"), notServed(err, "change stream"), notServed(err, "Change stream"), notServed(err, "ChangeStream"):
		return "this server has no change streams, without which nothing can be followed; MongoDB 4.4 or newer has them, as a replica set or sharded", true
	}
	return "", false
}
