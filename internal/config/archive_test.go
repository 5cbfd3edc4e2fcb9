package config

import (
	"os"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestArchiveValues(t *testing.T) {
	text, err := os.ReadFile("testdata/everything.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, string(text))
	a := c.Archive[0]
	if a.Tags["cost center"] != "12" || a.Kind != AgeMillis || a.Floor.At != time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) || a.Delete ||
		a.ObjectLock != (ObjectLock{Mode: LockCompliance, Days: 365}) || a.OlderThan.String() != "1y6mo2d12h" || a.HoldRestored != 84*day ||
		c.Spool.Max != 8e9 || c.S3.SecretKey != planted || c.Flows[0].On.Archive != ArchiveMark {
		t.Errorf("%+v", c)
	}
	if !a.Covers("shop.orders_12") || a.Covers("shop.orders_0") || a.Covers("shop.orders") {
		t.Error("covers the wrong namespaces")
	}
	if in, err := a.Filter.BSON.LookupErr("status", "$in"); err != nil || in.Type != bson.TypeArray || a.Filter.Text() == "" {
		t.Error(a.Filter, err)
	}
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	if got, want := a.Cutoff(now), time.Date(2024, 9, 27, 10, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("the cutoff is %s; want %s", got, want)
	}
	b := c.Archive[1]
	if b.Field != "_id" || !b.Delete || b.Soak != 36*time.Hour || !b.Floor.None || b.Location() != time.UTC || b.Schedule.Every != 15*time.Minute {
		t.Errorf("%+v", b)
	}
}

// TestArchiveAlone: rules without flows need no search engine, and flows
// without rules need nothing of the archive.
func TestArchiveAlone(t *testing.T) {
	text, err := os.ReadFile("testdata/archive_only.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, string(text))
	if len(c.Flows) != 0 || len(c.Search.URLs) != 0 || c.Spool.Path != "/var/lib/sluice/spool" || c.Archive[0].Schedule.Timezone != "UTC" {
		t.Errorf("%+v", c)
	}
	if c = mustLoad(t, least); len(c.Archive) != 0 || c.Flows[0].On.Archive != ArchiveRemove {
		t.Errorf("%+v", c)
	}
}
