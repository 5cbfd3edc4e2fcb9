package archivedb

import (
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/flow"
	source "sluice/internal/mongo"
)

// Codes of the server.
const (
	codeUnauthorized      = 13
	codeNamespaceNotFound = 26
	codeCursorNotFound    = 43
	codeMaxTimeExpired    = 50
	codeQueryPlanKilled   = 175
)

// serverCode is the server's code in err, 0 without one.
func serverCode(err error) int {
	var ce mongo.CommandError
	if errors.As(err, &ce) {
		return int(ce.Code)
	}
	var we mongo.WriteException
	if errors.As(err, &we) {
		if we.WriteConcernError != nil {
			return we.WriteConcernError.Code
		}
		for _, e := range we.WriteErrors {
			return e.Code
		}
	}
	return 0
}

// right is one privilege: an action on a resource. An empty db is the cluster.
type right struct{ db, coll, action string }

// String names it as MongoDB's documentation does.
func (r right) String() string {
	if r.db == "" {
		return r.action + " on {cluster: true}"
	}
	return fmt.Sprintf("%s on {db: %q, collection: %q}", r.action, r.db, r.coll)
}

// explained is source.Fault; when a right is missing it names it, with the
// whole role for who archives ns, and when time was up what to do about it.
func (db *DB) explained(op string, ns flow.Namespace, err error, need ...right) error {
	err = source.Fault(op, ns.String(), err)
	var fe *flow.Error
	if !errors.As(err, &fe) {
		return err
	}
	switch serverCode(err) {
	case codeUnauthorized:
		fe.Class, fe.Hint = flow.Auth, db.cure(ns, need)
	case codeMaxTimeExpired:
		fe.Class = flow.Transient
		fe.Hint = fmt.Sprintf("it took longer than %v and was given up so as not to burden the server;\n"+
			"set the rule's from to a later time, or run it when the server has less to do", db.patience)
	}
	return err
}

// ownFault is explained for the archive's own rows.
func (db *DB) ownFault(op, coll string, err error) error {
	ns := flow.Namespace{DB: db.own.Name(), Coll: coll}
	return db.explained(op, ns, err, right{db.own.Name(), "", "find, insert, update, remove"})
}

func (db *DB) cure(ns flow.Namespace, need []right) string {
	var b strings.Builder
	if len(need) > 0 {
		names := make([]string, len(need))
		for i, r := range need {
			names[i] = r.String()
		}
		fmt.Fprintf(&b, "the user lacks %s;\n", strings.Join(names, " or "))
	}
	b.WriteString("create this role in the database admin, and grant it:\n")
	b.WriteString(db.role(ns))
	return b.String()
}

// role is the least role that archives and restores ns, as a command of mongosh.
func (db *DB) role(ns flow.Namespace) string {
	var b strings.Builder
	b.WriteString(`db.getSiblingDB("admin").createRole({role: "sluiceArchive", roles: [], privileges: [` + "\n")
	if ns.DB != db.own.Name() {
		fmt.Fprintf(&b, "  {resource: {db: %q, collection: %q}, actions: [\"find\", \"remove\", \"listIndexes\", \"collStats\",\n"+
			"    \"insert\", \"update\", \"createIndex\", \"createCollection\", \"bypassDocumentValidation\"]},  // the last five: to restore\n", ns.DB, ns.Coll)
		fmt.Fprintf(&b, "  {resource: {db: %q, collection: \"\"}, actions: [\"listCollections\"]},\n", ns.DB)
	}
	fmt.Fprintf(&b, "  {resource: {db: %q, collection: \"\"}, actions: [\"find\", \"insert\", \"update\", \"remove\", \"createIndex\"]},\n", db.own.Name())
	b.WriteString(`  {resource: {db: "local", collection: "oplog.rs"}, actions: ["find"]},` + "\n")
	b.WriteString(`  {resource: {cluster: true}, actions: ["serverStatus", "replSetGetStatus", "replSetGetConfig"]}` + "\n]})")
	return b.String()
}

// conflict is the error for a row that somebody else has changed; cause is
// lease.ErrLost, or lease.ErrConflict.
func conflict(op, object string, cause error, why string) error {
	return &flow.Error{Op: op, Object: object, Class: flow.Conflict, Err: fmt.Errorf("%s: %w", why, cause)}
}
