package config

import (
	"errors"
	"slices"
	"strings"
)

// defaultDatabase is the database that is ours: no flow follows it.
const defaultDatabase = "sluice"

// ownDatabaseField declares where positions and dead letters lie in MongoDB.
func ownDatabaseField(m *MongoDB) field {
	return field{
		Name: "own_database", Into: text(&m.OwnDatabase), Default: defaultDatabase, Example: defaultDatabase,
		Doc: "Database of positions and dead letters, where `state.store` or `dead_letters.store` is `mongodb`. In any other than `sluice` the collections are called " +
			"`sluice.checkpoints` and `sluice.dead_letters`. The archive's rows are in `sluice` whatever this says.",
		Check: func() error { return checkOwnDatabase(m.OwnDatabase) },
	}
}

func checkOwnDatabase(s string) error {
	switch {
	case s == "" || len(s) > 63 || strings.ContainsAny(s, "/\\ \"$*<>:|?.\x00"):
		return errors.New("wants the name of a database")
	case slices.Contains([]string{"admin", "local", "config"}, s):
		return errors.New("admin, local and config are the server's own")
	}
	return nil
}

// crossOwnDatabase refuses a flow that would follow its own position: each save
// would be a change that leads to the next save.
func (c *Config) crossOwnDatabase(d *decoder, f *Flow, path string) {
	own := c.MongoDB.OwnDatabase
	if own == defaultDatabase || own == "" || c.State.Store != StoreMongoDB && c.DeadLetters.Store != StoreMongoDB {
		return
	}
	for _, coll := range []string{"sluice.checkpoints", "sluice.dead_letters"} {
		if f.Follows(own + "." + coll) {
			d.fail(d.places[path+".namespaces"], path+".namespaces", "takes in %s.%s, where positions and dead letters lie (mongodb.own_database): exclude it", own, coll)
			return
		}
	}
}
