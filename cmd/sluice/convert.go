package main

import (
	"os"
	"strings"

	"sluice/internal/compat/monstache"
)

// convertCmd writes the configuration of another tool as a sluice.yaml.
type convertCmd struct {
	From string   `required:"" enum:"monstache,gochive" help:"Whose configuration it is: ${enum}."`
	Tpl  bool     `help:"The file is a template over the environment, as with Monstache's -tpl."`
	File string   `arg:"" help:"The file: Monstache's, or a list of go-chive's entries."`
	Args []string `arg:"" optional:"" passthrough:"" help:"More flags of that tool, behind --."`
}

// Run prints the sluice.yaml; what has no equal goes to standard error.
func (v *convertCmd) Run(out stdio) error {
	more := v.Args
	if len(more) > 0 && more[0] == "--" {
		more = more[1:]
	}
	if v.From == gochiveName {
		return convertGochive(out, v.File, more)
	}
	args := append([]string{"-f", v.File}, more...)
	if v.Tpl {
		args = append([]string{"-tpl"}, args...)
	}
	s, err := monstache.Read(monstache.Input{Args: args, Environ: os.Environ(), Usage: out.err})
	if err != nil || s.Help {
		return err
	}
	t, _, err := translated(s)
	if err != nil {
		return err
	}
	for _, w := range t.Warnings {
		say(out.err, w)
	}
	if t.Once {
		say(out.err, "exit-after-direct-reads: start it as sluice run --once")
	}
	if t.Logins {
		say(out.err, "the text holds logins in clear, as the file does: write ${NAME} or ${file:/path} in their place")
	}
	_, err = out.out.Write([]byte(strings.TrimSuffix(t.Text, "\n") + "\n"))
	return err
}
