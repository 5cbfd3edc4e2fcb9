package vitals

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	source "sluice/internal/mongo"
)

// OplogFull tells whether the oplog has reached its size. As long as it has not,
// the server removes nothing from it, and that it reaches back only a short time
// means only that it is young. Without the right to ask it counts as full.
func (v *Vitals) OplogFull(ctx context.Context) (bool, error) {
	raw, err := v.client.Database("local").RunCommand(ctx, bson.D{{Key: "collStats", Value: "oplog.rs"}}).Raw()
	if serverCode(err) == codeUnauthorized {
		return true, nil
	}
	if err != nil {
		return true, source.Fault("read the size of the oplog of", v.uri, err)
	}
	used, ok1 := raw.Lookup("size").AsInt64OK()
	most, ok2 := raw.Lookup("maxSize").AsInt64OK()
	// What is cut off at a time is a part of it.
	return !ok1 || !ok2 || used >= most/10*8, nil
}
