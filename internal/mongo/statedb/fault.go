package statedb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

const codeUnauthorized = 13

// right is what an operation needs of a collection.
type right struct {
	home    home
	coll    string
	actions []string
}

// fault is source.Fault with the cure: the privilege and the role if a right is
// missing, the majority if time was up. A nil err gives nil.
func fault(ctx context.Context, op, flowName string, err error, need right) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = errors.Join(ctx.Err(), err)
	}
	err = source.Fault(op, flowName, err)
	var e *flow.Error
	if !errors.As(err, &e) {
		return err
	}
	var server mongo.ServerError
	switch {
	case e.Class == flow.Auth, errors.As(err, &server) && server.HasErrorCode(codeUnauthorized):
		e.Class, e.Hint = flow.Auth, need.cure()
	case refusedRows(err):
		e.Class = flow.Unknown
	case mongo.IsTimeout(err):
		e.Hint = "a majority of MongoDB's members has to confirm it: look at rs.status()"
	}
	return err
}

// refusedRows tells whether the server took the request and refused what is in
// it, such as by a validator that somebody put on our collection.
func refusedRows(err error) bool {
	var one mongo.WriteException
	var many mongo.BulkWriteException
	return errors.As(err, &one) && len(one.WriteErrors) > 0 || errors.As(err, &many) && len(many.WriteErrors) > 0
}

// cure names the privilege, and the whole role.
func (r right) cure() string {
	return fmt.Sprintf("the user needs %s on {db: %q, collection: %q};\n", strings.Join(r.actions, " and "), r.home.name(), r.home.coll(r.coll)) +
		"create this role in the database admin, and grant it beside the one that follows:\n" + r.home.role()
}

// role is the least role for both stores, as a command of mongosh.
func (h home) role() string {
	return `db.getSiblingDB("admin").createRole({role: "sluiceState", roles: [], privileges: [` + "\n" +
		fmt.Sprintf("  {resource: {db: %q, collection: %q}, actions: [\"find\", \"insert\", \"update\"]},\n", h.name(), h.coll(checkpointsColl)) +
		fmt.Sprintf("  {resource: {db: %q, collection: %q}, actions: [\"find\", \"insert\", \"update\", \"remove\"]}\n", h.name(), h.coll(deadLettersColl)) +
		"]})"
}
