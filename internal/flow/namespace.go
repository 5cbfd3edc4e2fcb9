package flow

import "strings"

// Namespace names one collection of one database, as MongoDB does.
type Namespace struct {
	DB   string
	Coll string
}

// ParseNamespace splits "db.coll" at the first dot: database names hold none,
// collection names may. ok is false when either part is empty.
func ParseNamespace(s string) (ns Namespace, ok bool) {
	db, coll, found := strings.Cut(s, ".")
	if !found || db == "" || coll == "" {
		return Namespace{}, false
	}
	return Namespace{DB: db, Coll: coll}, true
}

// String returns "db.coll".
func (n Namespace) String() string { return n.DB + "." + n.Coll }

// IsZero tells whether n names nothing.
func (n Namespace) IsZero() bool { return n.DB == "" && n.Coll == "" }
