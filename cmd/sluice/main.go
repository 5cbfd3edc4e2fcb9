// Command sluice keeps MongoDB collections searchable in Elasticsearch or
// OpenSearch, and moves documents that have grown old to object storage. This
// file holds the arguments and the one exit; each verb, or group of verbs, has a
// file of its own.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"sluice/internal/compat/gochive"
	"sluice/internal/compat/monstache"
	"sluice/internal/config"
	"sluice/internal/flow"
)

// Exit codes, the same for every verb (documented in README.md).
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	// exitDiffers: differences were found, or a plan was refused.
	exitDiffers = 3
	exitCut     = 130
)

// cli is the whole command line.
type cli struct {
	LogFormat string `enum:"auto,text,json" default:"auto" help:"Log lines as text, json, or auto: as logs.style says, and without it text on a terminal, json in a pipe."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"The least important log line to write: debug, info, warn, error."`

	Run    runCmd    `cmd:"" help:"Run everything in the configuration."`
	Sync   syncCmd   `cmd:"" help:"Run one flow from flags, no file needed."`
	Status statusCmd `cmd:"" help:"Tell how a running sluice is doing."`

	Deadletter deadletterCmd `cmd:"" name:"deadletter" help:"Look after the documents that could not be written."`
	Resync     resyncCmd     `cmd:"" help:"Copy a collection again, or some documents of it, in place."`
	Pause      pauseCmd      `cmd:"" help:"Let a flow of a running sluice, or a collection of it, pause."`
	Resume     resumeCmd     `cmd:"" help:"Let it go on."`

	Archive archiveCmd `cmd:"" help:"Move old documents to object storage, and look after what is there."`
	Restore restoreCmd `cmd:"" help:"Bring documents back from the archive."`
	Doctor  doctorCmd  `cmd:"" help:"Connect, and tell what is in the way of the configuration, with the cure; exit code 3 if something is."`
	Config  configCmd  `cmd:"" help:"Check, print or describe the configuration."`
	Script  scriptCmd  `cmd:"" help:"Try scripts."`
	Version versionCmd `cmd:"" help:"Print the version."`

	Monstache monstacheCmd `cmd:"" passthrough:"" help:"Run by Monstache's flags, environment and file; see docs/migrating-from-monstache.md."`
	Gochive   gochiveCmd   `cmd:"" passthrough:"" help:"Run by go-chive's flags or a list of its entries; see docs/migrating-from-go-chive.md."`
}

// stdio is what a verb may write to.
type stdio struct {
	out, err io.Writer
}

func main() {
	os.Exit(run(context.Background(), calledAs(os.Args[0], os.Args[1:]), stdio{out: os.Stdout, err: os.Stderr}))
}

// run parses the arguments, runs the verb and returns the exit code.
func run(ctx context.Context, args []string, io stdio) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("sluice"),
		kong.Description("Keeps MongoDB collections searchable in Elasticsearch or OpenSearch, and archives what has grown old to object storage."),
		kong.UsageOnError(), kong.Writers(io.out, io.err), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		say(io.err, "sluice: "+err.Error())
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		say(io.err, "sluice: "+err.Error()+"\n  'sluice --help' lists the verbs, 'sluice VERB --help' its flags")
		return exitUsage
	}
	k.BindTo(ctx, (*context.Context)(nil))
	err = k.Run(&c, io)
	if err != nil && !errors.Is(err, errQuiet) && !errors.Is(err, errDiffers) && !errors.Is(err, errTold) {
		say(io.err, "sluice: "+strings.TrimSpace(err.Error()))
	}
	return exitCode(err)
}

// errQuiet marks a failure that has been told already.
var errQuiet = errors.New("")

// errDiffers ends with exit code 3 what has told by its output that differences
// were found, or that a plan is refused.
var errDiffers = errors.New("")

// errCut says that a second signal, or --drain-limit, cut the work off.
var errCut = errors.New("cut by a second signal, or by --drain-limit; what was settled is saved, the rest is done again at the next start")

func exitCode(err error) int {
	var bad config.Errors
	var old *monstache.Error
	var chive *gochive.Error
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &old):
		return old.Code
	case errors.As(err, &chive):
		return exitUsage
	case errors.As(err, new(ended)):
		return exitFailed
	case errors.Is(err, errCut):
		return exitCut
	case errors.Is(err, errDiffers):
		return exitDiffers
	case errors.As(err, &bad), flow.ClassOf(err) == flow.Config:
		return exitUsage
	}
	return exitFailed
}

// say writes one line; a terminal that is gone is no reason to fail.
func say(w io.Writer, line string) { _, _ = io.WriteString(w, line+"\n") }
