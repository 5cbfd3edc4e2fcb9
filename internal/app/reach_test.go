package app

import (
	"testing"

	"sluice/internal/config"
	"sluice/internal/flow"
)

func TestReachSearch(t *testing.T) {
	o := reachSearch(config.Search{CloudID: "shop:ZXUtY2VudHJhbC0xLmF3cy5jbG91ZC5lcy5pbyQwYTFi", Auth: config.Auth{APIKey: "k"}})
	if len(o.URLs) != 1 || o.URLs[0] != "https://0a1b.eu-central-1.aws.cloud.es.io:443" || o.Auth.APIKey != "k" || o.AWS.Region != "" {
		t.Errorf("%+v", o)
	}
	o = reachSearch(config.Search{URLs: []string{"https://a"}, AWS: config.AWS{Region: "eu-central-1"}})
	if o.AWS.Region != "eu-central-1" || o.URLs[0] != "https://a" {
		t.Errorf("%+v", o)
	}
}

// Who names an ingest pipeline, or another one, has documents of another shape.
func TestPipelineIsPartOfTheShape(t *testing.T) {
	ns := flow.Namespace{DB: "shop", Coll: "orders"}
	f := func(pipeline string) string { return fingerprint(&config.Flow{Pipeline: pipeline}, ns) }
	if f("") == f("a") || f("a") == f("b") {
		t.Error(f(""), f("a"), f("b"))
	}
}
