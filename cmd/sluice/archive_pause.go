package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// pauseFlags say which running sluice is meant.
type pauseFlags struct {
	remote
	Rule string `help:"Only this rule." placeholder:"NAME"`
}

func (p *pauseFlags) post(ctx context.Context, what string, out stdio) error {
	path := "/archive/" + what
	if p.Rule != "" {
		path += "?rule=" + url.QueryEscape(p.Rule)
	}
	body, err := p.ask(ctx, http.MethodPost, path)
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(body)); text != "" {
		say(out.out, text)
	}
	return nil
}

type archivePauseCmd struct{ pauseFlags }

// Run lets a running sluice pause archiving until resume, or until it restarts.
func (p *archivePauseCmd) Run(ctx context.Context, out stdio) error { return p.post(ctx, "pause", out) }

type archiveResumeCmd struct{ pauseFlags }

// Run lets a running sluice go on.
func (p *archiveResumeCmd) Run(ctx context.Context, out stdio) error {
	return p.post(ctx, "resume", out)
}
