package main

import (
	"context"

	"sluice/internal/app"
	"sluice/internal/config"
)

type syncCmd struct {
	MongoDB      string   `name:"mongodb" required:"" env:"SLUICE_MONGODB_URI" help:"Connection string of the replica set. Better by environment if it holds a password." placeholder:"URI"`
	Search       []string `required:"" env:"SLUICE_SEARCH_URLS" help:"URL of Elasticsearch or OpenSearch; may be repeated for failover." placeholder:"URL"`
	Username     string   `env:"SLUICE_SEARCH_USERNAME" help:"Its user."`
	Password     string   `env:"SLUICE_SEARCH_PASSWORD" help:"Its password. Better by environment."`
	APIKey       string   `name:"api-key" env:"SLUICE_SEARCH_API_KEY" help:"Its API key, instead of user and password."`
	CAFile       string   `name:"ca-file" help:"PEM file with the authorities to trust for https." placeholder:"FILE"`
	Insecure     bool     `help:"Don't check the certificate of https. For trying out only."`
	Namespace    []string `required:"" sep:"none" help:"What to copy and follow: db.collection, db.*, or /regular expression/. May be repeated." placeholder:"NS"`
	Exclude      []string `sep:"none" help:"What to leave out of it, in the same forms." placeholder:"NS"`
	Index        string   `help:"Name of the index (an alias), for one plain namespace; otherwise db.collection in lower case." placeholder:"NAME"`
	Name         string   `default:"sync" help:"Name of the flow: its position is kept under it."`
	State        string   `help:"Directory of the position (default ./sluice-state)." placeholder:"DIR"`
	Listen       string   `help:"Where to answer /status, /metrics, /healthz and /readyz (default 127.0.0.1:9630); 'off' for nowhere." placeholder:"HOST:PORT"`
	Once         bool     `help:"End when the snapshot is complete and the stream has reached the time at which it ended."`
	SnapshotRate float64  `help:"At most so many documents per second while copying; 0 for no limit." placeholder:"N"`
	JSON         bool     `help:"With --once: print the result as JSON."`
	choices
}

// Run runs one flow.
func (s *syncCmd) Run(ctx context.Context, c *cli, out stdio) error {
	cfg, err := config.FromFlags(config.Overrides{
		MongoDB: s.MongoDB, Search: s.Search, Username: s.Username, Password: s.Password, APIKey: s.APIKey,
		CAFile: s.CAFile, Insecure: s.Insecure, State: s.State, Listen: s.Listen,
		Name: s.Name, Namespaces: s.Namespace, Exclude: s.Exclude, Index: s.Index, SnapshotRate: s.SnapshotRate,
	})
	if err != nil {
		return err
	}
	return runApp(ctx, c, out, app.Options{Config: cfg, Once: s.Once, Resync: s.Resync, AcceptShape: s.AcceptShape}, 0, s.JSON)
}
