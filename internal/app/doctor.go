package app

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/internal/checkpoint"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/search"
)

// DoctorOptions say what to look at.
type DoctorOptions struct {
	Config *config.Config
	// Flow is the name of the only flow to look at, and nothing of the archive
	// is; "" looks at everything.
	Flow string
	// Now takes the place of our clock, and Transport that of the network to the
	// search engine, for tests; nil is the clock, and the network.
	Now       func() time.Time
	Transport http.RoundTripper
}

// Diagnosis is all that the checks have found.
type Diagnosis struct {
	// Sound: there is no error among the findings.
	Sound bool `json:"sound"`
	// Findings come the worst first, and else in the order of the checks.
	Findings flow.Findings `json:"findings"`
}

// Doctor looks whether what the configuration names can work, by connecting and
// by trying, and leaves nothing behind. Each check is bounded in time, and none
// ends the others. The error is of a flow that the configuration does not have.
func Doctor(ctx context.Context, o DoctorOptions) (Diagnosis, error) {
	d := &doctor{o: o, cfg: o.Config, places: map[string]string{}}
	for i := range o.Config.Flows {
		if f := &o.Config.Flows[i]; o.Flow == "" || f.Name == o.Flow {
			d.flows = append(d.flows, f)
		}
	}
	if o.Flow != "" && len(d.flows) == 0 {
		return Diagnosis{}, noSuchFlow(o.Config, o.Flow)
	}
	if o.Flow == "" {
		for i := range o.Config.Archive {
			d.rules = append(d.rules, &o.Config.Archive[i])
		}
	}
	d.all(ctx)
	slices.SortStableFunc(d.f, func(a, b flow.Finding) int { return cmp.Compare(rank(a), rank(b)) })
	d.f = slices.Compact(d.f) // two flows may share what is wrong
	return Diagnosis{Sound: d.f.Sound(), Findings: d.f}, nil
}

func noSuchFlow(cfg *config.Config, name string) error {
	var names []string
	for _, f := range cfg.Flows {
		names = append(names, f.Name)
	}
	return &flow.Error{
		Op: "find the flow", Object: name, Class: flow.Config, Err: errors.New("the configuration has no such flow"),
		Hint: "it has " + strings.Join(names, ", "),
	}
}

// rank puts the worst first.
func rank(f flow.Finding) int {
	return slices.Index([]flow.Severity{flow.FindingError, flow.FindingWarning, flow.FindingInfo, flow.FindingOK}, f.Severity)
}

// doctor is one preflight.
type doctor struct {
	o     DoctorOptions
	cfg   *config.Config
	flows []*config.Flow
	rules []*config.Archive
	f     flow.Findings

	mongo *mongo.Doctor // nil: it can't be used
	// cluster is nil where no engine can be used, or none is wanted.
	cluster *search.Client
	// triedStats: the index of statistics was looked at, by one flow for all.
	triedStats bool
	// shards is how many the indexes take that are still to be made.
	shards int
	// places says which flow and namespace go to an index.
	places map[string]string
}

// note adds what a check has found.
func (d *doctor) note(f flow.Findings) { d.f = append(d.f, f...) }

// now is our clock.
func (d *doctor) now() time.Time {
	if d.o.Now != nil {
		return d.o.Now()
	}
	return time.Now()
}

func (d *doctor) all(ctx context.Context) {
	var found flow.Findings
	d.mongo, found = mongo.Visit(ctx, mongo.DoctorOptions{
		URI: d.cfg.MongoDB.URI.Reveal(), AppName: "sluice doctor " + Version, Streams: len(d.flows) > 0, Now: d.o.Now,
	})
	d.note(found)
	if d.mongo != nil {
		defer func() {
			closing, done := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
			defer done()
			d.mongo.Close(closing)
		}()
	}
	if len(d.flows) > 0 {
		o := reachSearch(d.cfg.Search)
		o.Transport = d.o.Transport
		d.cluster, found = search.Visit(ctx, o)
		d.note(found)
	}
	if d.cluster != nil {
		defer d.cluster.Close()
	}
	d.local(ctx)
	for _, f := range d.flows {
		d.flow(ctx, f)
	}
	if d.cluster != nil {
		d.note(d.cluster.VisitCluster(ctx, d.shards))
	}
	d.archive(ctx)
}

// local looks at this machine: the directories, and the address to listen on.
func (d *doctor) local(ctx context.Context) {
	if len(d.flows) > 0 && d.cfg.State.Store == config.StoreFile {
		d.note(checkpoint.VisitDir(d.cfg.State.Path, "state.directory", "state.path", 0))
	}
	if len(d.flows) > 0 && d.cfg.DeadLetters.Store == config.StoreFile {
		d.note(checkpoint.VisitDir(d.cfg.DeadLetters.Path, "dead_letters.directory", "dead_letters.path", 0))
	}
	d.ownRows(ctx)
	d.listen(ctx)
}

// ownRows looks whether we may write what is our own into MongoDB.
func (d *doctor) ownRows(ctx context.Context) {
	if d.mongo == nil {
		return
	}
	own := d.cfg.MongoDB.OwnDatabase
	if d.keepsInMongoDB() {
		d.note(d.mongo.Writes(ctx, own, "state.store or dead_letters.store keeps its rows there"))
	}
	if len(d.rules) > 0 && (!d.keepsInMongoDB() || own != archiveDatabase) {
		d.note(d.mongo.Writes(ctx, archiveDatabase, "the archive keeps its rows there"))
	}
}

// archiveDatabase is the database of journal, ledger and leases.
const archiveDatabase = "sluice"

func (d *doctor) keepsInMongoDB() bool {
	return len(d.flows) > 0 &&
		(d.cfg.State.Store == config.StoreMongoDB || d.cfg.DeadLetters.Store == config.StoreMongoDB)
}

// listen looks whether the addresses are free.
func (d *doctor) listen(ctx context.Context) {
	h := d.cfg.HTTP
	d.listenOn(ctx, "http.listen", h.Listen)
	d.listenOn(ctx, "http.probes", h.Probes)
	d.listenOn(ctx, "http.monstache.listen", h.Monstache.Listen)
}

func (d *doctor) listenOn(ctx context.Context, setting, addr string) {
	if addr == "" {
		return
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		var cause *net.OpError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		d.f.Add(flow.FindingError, setting, addr, "nothing can listen on "+addr, err.Error(),
			"if a sluice runs here already, this is it; else set "+setting+" to a free address, or to off")
		return
	}
	_ = l.Close()
	d.f.OK(setting, addr, "%s is free", addr)
}
