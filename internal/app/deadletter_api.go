package app

import (
	"context"
	"errors"
	"fmt"

	"sluice/internal/flow"
	"sluice/internal/web"
)

// FlowCommanded is what a pause or a resume has done.
type FlowCommanded struct {
	Flow string `json:"flow"`
	// Namespace is "" for the whole flow.
	Namespace string `json:"namespace,omitempty"`
	// Done says what is so now.
	Done string `json:"done"`
}

// Text returns the result for people.
func (c FlowCommanded) Text() string {
	what := "flow " + c.Flow
	if c.Namespace != "" {
		what += ", " + c.Namespace
	}
	return what + ": " + c.Done
}

// flowCommands carries out what is asked for over HTTP.
type flowCommands struct{ app *App }

var _ web.Flows = flowCommands{}

// Command carries out one command on a flow that runs.
func (c flowCommands) Command(ctx context.Context, cmd web.FlowCommand) (any, error) {
	f, err := c.running(cmd.Flow)
	if err != nil {
		return nil, err
	}
	filter := LetterFilter{Namespace: cmd.NS, Reason: cmd.Reason, Keys: cmd.Keys, Before: cmd.Before, Limit: cmd.Limit, Errors: cmd.Errors}
	switch cmd.Verb {
	case web.FlowLetters:
		return f.list(ctx, filter)
	case web.FlowDrop:
		return f.drop(ctx, filter, cmd.All)
	case web.FlowRetry:
		if err := f.mayRead(); err != nil {
			return nil, err
		}
		return f.retry(ctx, filter, nil)
	case web.FlowResync:
		return f.resync(ctx, cmd.NS, cmd.Keys)
	case web.FlowPause:
		return f.pause(cmd.NS, cmd.Reason)
	case web.FlowResume:
		return f.resume(cmd.NS)
	}
	return nil, fmt.Errorf("no such command: %s", cmd.Verb)
}

// running returns the flow of that name, if it runs.
func (c flowCommands) running(name string) (*flowRun, error) {
	for _, f := range c.app.live() {
		if f.cfg.Name != name {
			continue
		}
		if st := f.status(); st.State != "running" {
			return nil, &flow.Error{Op: "command flow", Object: name, Class: flow.Conflict, Err: errors.New("it is " + st.State), Hint: "ask again when it runs"}
		}
		return f, nil
	}
	return nil, fmt.Errorf("%s: %w", name, web.ErrNoFlow)
}

// mayRead is the error of a flow that reads nothing now.
func (f *flowRun) mayRead() error {
	if why, paused := f.gate.paused(); paused {
		return &flow.Error{
			Op: "read for flow", Object: f.cfg.Name, Class: flow.Conflict, Err: errors.New("it is paused: " + why),
			Hint: "sluice resume lets it go on",
		}
	}
	return nil
}

// resync copies a namespace again, or some documents of it.
func (f *flowRun) resync(ctx context.Context, text string, keys []string) (Resynced, error) {
	ns, err := namespaceOf(text)
	if err != nil {
		return Resynced{}, err
	}
	if len(keys) == 0 {
		return Resynced{Namespace: text, Started: true}, f.source.Resync(ns)
	}
	if err := f.mayRead(); err != nil {
		return Resynced{}, err
	}
	return f.resyncKeys(ctx, ns, keys, nil)
}

// pause lets the flow, or one namespace of it, rest.
func (f *flowRun) pause(text, reason string) (FlowCommanded, error) {
	out := FlowCommanded{Flow: f.cfg.Name, Namespace: text, Done: "paused"}
	if text == "" {
		f.gate.pause(reason)
		f.log.Info("paused by command")
		return out, nil
	}
	ns, err := namespaceOf(text)
	if err != nil {
		return out, err
	}
	if reason != "" {
		return out, &flow.Error{Op: "pause", Object: text, Class: flow.Config, Err: errors.New("a reason is kept of a whole flow only"), Hint: "leave the reason out"}
	}
	out.Done = "paused; it is copied again when it is resumed"
	if err := f.source.Pause(ns); err != nil {
		return out, err
	}
	f.log.Info("namespace paused by command", flow.LogNS, text)
	return out, nil
}

// resume lets the flow, or one namespace of it, go on.
func (f *flowRun) resume(text string) (FlowCommanded, error) {
	out := FlowCommanded{Flow: f.cfg.Name, Namespace: text, Done: "was not paused"}
	if text == "" {
		if f.gate.resume() {
			out.Done = "resumed"
			f.log.Info("resumed by command")
		}
		return out, nil
	}
	ns, err := namespaceOf(text)
	if err != nil {
		return out, err
	}
	if f.source.Resume(ns) {
		out.Done = "resumed; it is copied again"
		f.log.Info("namespace resumed by command", flow.LogNS, text)
	}
	return out, nil
}
