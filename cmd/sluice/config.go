package main

import (
	"fmt"

	"sluice/internal/app"
	"sluice/internal/config"
)

type configCmd struct {
	Validate validateCmd `cmd:"" help:"Tell every mistake in it, with line, column and cure."`
	Print    printCmd    `cmd:"" help:"Print what is in force and where each value comes from, secrets hidden."`
	Schema   schemaCmd   `cmd:"" help:"Print its JSON Schema."`
	Convert  convertCmd  `cmd:"" help:"Print the configuration of Monstache or go-chive as a sluice.yaml; what has no equal goes to standard error."`
}

// configFile is how the verbs find the file.
type configFile struct {
	Config string `short:"c" help:"The configuration; without it ./sluice.yaml, then /etc/sluice/sluice.yaml." placeholder:"FILE"`
}

type validateCmd struct{ configFile }

// Run reads the configuration and tells its mistakes.
func (v *validateCmd) Run(out stdio) error {
	cfg, err := config.Load(v.Config, config.Overrides{})
	if err != nil {
		return err
	}
	if err := app.Check(cfg); err != nil {
		return err
	}
	say(out.out, fmt.Sprintf("%s is valid: %d flow(s), %d archive rule(s)", cfg.File, len(cfg.Flows), len(cfg.Archive)))
	return nil
}

type printCmd struct{ configFile }

// Run prints the effective configuration.
func (p *printCmd) Run(out stdio) error {
	cfg, err := config.Load(p.Config, config.Overrides{})
	if err != nil {
		return err
	}
	return cfg.Print(out.out)
}

type schemaCmd struct{}

// Run prints the JSON Schema.
func (s *schemaCmd) Run(out stdio) error {
	_, err := out.out.Write(config.Schema())
	return err
}
