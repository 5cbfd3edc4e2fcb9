//go:build integration

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/testkit"
)

func TestMain(m *testing.M) {
	code := testkit.Main(m)
	if bin, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// rounds is how often a test repeats its random part: few in `make test`, the
// full count in `make soak`.
func rounds(few, soak int) int {
	if on, _ := strconv.ParseBool(os.Getenv("SLUICE_SOAK")); on {
		return soak
	}
	return few
}

// bed is what most tests stand on: a database of its own on the shared mongod,
// and the shared search engine.
type bed struct {
	uri, search string
	db          *mongo.Database
	state       string
}

func newBed(t *testing.T) bed {
	t.Helper()
	m, s := testkit.SharedMongo(t), testkit.SharedSearch(t)
	return bed{uri: m.URI(), search: s.URL(), db: connect(t, m.URI()).Database(testkit.UniqueName(t)), state: t.TempDir()}
}

// ownBed is a bed on a server of its own, for flows that follow the whole deployment.
func ownBed(t *testing.T) bed {
	t.Helper()
	m, err := testkit.StartMongo(t.Context(), testkit.MongoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop() })
	b := newBed(t)
	b.uri = m.URI()
	b.db = connect(t, b.uri).Database(b.db.Name())
	return b
}

func connect(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(t.Context()) })
	return c
}

// args are the flags of `sluice sync` for collections of the bed's database.
func (b bed) args(colls ...string) []string {
	args := []string{"sync", "--mongodb", b.uri, "--search", b.search, "--state", b.state}
	for _, c := range colls {
		args = append(args, "--namespace", b.db.Name()+"."+c)
	}
	return args
}

// index is the name of a collection's index.
func (b bed) index(coll string) string { return b.db.Name() + "." + coll }
