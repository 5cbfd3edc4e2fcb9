package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"sluice/internal/app"
	"sluice/internal/flow"
)

type scriptCmd struct {
	Test scriptTestCmd `cmd:"" help:"Run a script over sample documents, without any server; exit code 1 if it fails on one of them."`
}

type scriptTestCmd struct {
	jsonFlag
	File    string        `arg:"" help:"The script, a file with module.exports = function (doc, ns) { … }."`
	Doc     string        `required:"" help:"File with documents in Extended JSON: one, several one after the other, or an array; - for the standard input." placeholder:"SAMPLE.json"`
	Mode    string        `enum:"native,monstache" default:"native" help:"As in the configuration: native, monstache."`
	Kind    string        `enum:"map,filter" default:"map" help:"As in the configuration: map, filter."`
	NS      string        `name:"ns" default:"test.test" help:"The namespace that the script is told." placeholder:"DB.COLLECTION"`
	Timeout time.Duration `default:"1s" help:"How long one call may take."`
}

// maxTried is how much a script or the samples may have.
const maxTried = 64 << 20

// Run tries the script and prints what it makes of each sample.
func (s *scriptTestCmd) Run(ctx context.Context, c *cli, out stdio) error {
	code, err := readTried(s.File)
	if err != nil {
		return err
	}
	samples, err := readTried(s.Doc)
	if err != nil {
		return err
	}
	log, err := app.NewLogger(out.err, app.LogOptions{Format: c.LogFormat, Level: c.LogLevel, Terminal: true})
	if err != nil {
		return &flow.Error{Op: "try script", Class: flow.Config, Err: err}
	}
	all, err := app.TryScript(ctx, app.ScriptTry{
		Path: s.File, Code: string(code), Kind: s.Kind, Mode: s.Mode, Timeout: s.Timeout, Namespace: s.NS, Samples: samples, Logger: log,
	})
	if err != nil {
		return err
	}
	failed := false
	for i, one := range all {
		failed = failed || one.Result == "error"
		if !s.JSON {
			say(out.out, triedText(i+1, one))
		}
	}
	if s.JSON {
		if err := tell(out, true, all, ""); err != nil {
			return err
		}
	}
	if failed {
		return errQuiet
	}
	return nil
}

// triedText is the result of one sample for people.
func triedText(n int, t app.ScriptTried) string {
	switch t.Result {
	case "error":
		return fmt.Sprintf("%d: error: %s", n, t.Error)
	case "leave":
		return fmt.Sprintf("%d: does not belong into the index; it leaves it if it is there", n)
	case "skip":
		return fmt.Sprintf("%d: skipped; the index stays as it is", n)
	}
	if !t.Changed {
		return fmt.Sprintf("%d: written as it was", n)
	}
	return fmt.Sprintf("%d: %s", n, t.Document)
}

func readTried(path string) ([]byte, error) {
	in := io.Reader(os.Stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &flow.Error{Op: "read", Object: path, Class: flow.Config, Err: unpathed(err)}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxTried+1))
	switch {
	case err != nil:
		return nil, &flow.Error{Op: "read", Object: path, Class: flow.Config, Err: unpathed(err)}
	case len(text) > maxTried:
		return nil, &flow.Error{Op: "read", Object: path, Class: flow.Config, Err: fmt.Errorf("it is larger than %d bytes", maxTried)}
	}
	return text, nil
}

// unpathed is an error of a file without its path, which the message names.
func unpathed(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
