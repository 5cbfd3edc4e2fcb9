package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/config"
	"sluice/internal/flow"
)

// commandTimeout is what the answer to a command about a flow may take.
const commandTimeout = 30 * time.Second

// defaultURL is where sluice listens unless told otherwise.
const defaultURL = "http://127.0.0.1:9630"

// flowFlags say which flow of which sluice is meant.
type flowFlags struct {
	configFile
	Flow  string `help:"The flow; needed where there are several." placeholder:"NAME"`
	URL   string `help:"Where the running sluice listens; without it http.listen of the configuration, or http://127.0.0.1:9630." placeholder:"URL"`
	Token string `env:"SLUICE_HTTP_TOKEN" help:"Its http.token; without it that of the configuration."`
}

// restFlag is that of verbs that can do without a running sluice.
type restFlag struct {
	Offline bool `help:"No sluice runs this flow, anywhere: work on its stores directly. Without this a running one is asked first, and the stores are taken only if none listens."`
}

// flowTarget is a running sluice to ask, or the configuration to work by.
type flowTarget struct {
	remote
	flow string
	// cfg is nil where no configuration was found.
	cfg *config.Config
	// named: the user said by --url whom to ask.
	named bool
}

// target finds out whom to ask. A configuration that is not there is no error
// as long as nothing needs it; one that is there and wrong is.
func (f *flowFlags) target() (*flowTarget, error) {
	t := &flowTarget{flow: f.Flow, named: f.URL != ""}
	t.URL, t.Token = f.URL, f.Token
	if f.Config != "" || hasConfig() {
		var err error
		if t.cfg, err = config.Load(f.Config, config.Overrides{}); err != nil {
			return nil, err
		}
	}
	if t.cfg != nil {
		if t.URL == "" {
			t.URL = urlOf(t.cfg.HTTP.Listen)
		}
		if t.Token == "" {
			t.Token = t.cfg.HTTP.Token.Reveal()
		}
	} else if t.URL == "" {
		t.URL = defaultURL
	}
	return t, nil
}

// hasConfig tells whether there is a configuration where one is looked for.
func hasConfig() bool {
	for _, f := range config.DefaultFiles() {
		if _, err := os.Stat(f); err == nil {
			return true
		}
	}
	return false
}

// urlOf is where a server that listens so is asked from this machine; "" if
// there is none.
func urlOf(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// errNobody says that no sluice listens.
var errNobody = errors.New("no sluice listens")

// send asks the running sluice for a command about the flow and reads the answer
// into out. errNobody: none listens, and none was named.
func (t *flowTarget) send(ctx context.Context, method, what string, q url.Values, out any) error {
	if t.URL == "" {
		return errNobody
	}
	if t.flow == "" {
		if err := t.choose(ctx, q.Get("ns")); err != nil {
			return err
		}
	}
	path := "/flows/" + url.PathEscape(t.flow) + "/" + what
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return t.fetch(ctx, method, path, out)
}

// fetch asks and reads JSON.
func (t *flowTarget) fetch(ctx context.Context, method, path string, out any) error {
	body, err := t.askFor(ctx, method, path, commandTimeout)
	var dial *net.OpError
	if !t.named && errors.As(err, &dial) && dial.Op == "dial" {
		return errNobody
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of %s is none of sluice: %w", t.URL, err)
	}
	return nil
}

// choose finds the flow that is meant: the only one, or the one that follows ns.
func (t *flowTarget) choose(ctx context.Context, ns string) error {
	var st app.Status
	if err := t.fetch(ctx, http.MethodGet, "/status", &st); err != nil {
		return err
	}
	var all, fit []string
	for _, f := range st.Flows {
		all = append(all, f.Name)
		for _, n := range f.Source.Namespaces {
			if ns != "" && n.NS == ns {
				fit = append(fit, f.Name)
			}
		}
	}
	switch {
	case len(all) == 1:
		t.flow = all[0]
	case len(fit) == 1:
		t.flow = fit[0]
	default:
		return &flow.Error{
			Op: "choose a flow of", Object: t.URL, Class: flow.Config, Err: errors.New("it has several, and none is named"),
			Hint: "name one by --flow: " + strings.Join(all, ", "),
		}
	}
	return nil
}

// rest is what the verbs take that work on stores directly.
func (t *flowTarget) rest(c *cli, out stdio, sure bool) (app.RestOptions, error) {
	o := app.RestOptions{Config: t.cfg, Flow: t.flow, Sure: sure}
	if t.cfg == nil {
		return o, &flow.Error{
			Op: "ask", Object: t.URL, Class: flow.Transient, Err: errors.New("no sluice listens there, and there is no configuration to work by without one"),
			Hint: "say by --url where sluice listens, or name its configuration by --config",
		}
	}
	var err error
	o.Logger, err = app.NewLogger(out.err, app.LogOptions{Format: c.LogFormat, Level: c.LogLevel, Terminal: isTerminal(out.err)})
	return o, err
}

// nobody is the error of a verb that only a running sluice can do.
func (t *flowTarget) nobody(hint string) error {
	where := t.URL
	if where == "" {
		where = "here: http.listen is off"
	}
	return &flow.Error{Op: "ask", Object: where, Class: flow.Transient, Err: errNobody, Hint: hint}
}
