package main

import (
	"encoding/json"
	"runtime"

	"sluice/internal/app"
)

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Run prints the version.
func (v *versionCmd) Run(io stdio) error {
	info := map[string]string{"version": app.Version, "revision": app.Revision(), "go": runtime.Version()}
	if v.JSON {
		b, err := json.Marshal(info)
		say(io.out, string(b))
		return err
	}
	line := "sluice " + info["version"]
	if info["revision"] != "" {
		line += " (" + info["revision"] + ")"
	}
	say(io.out, line+" "+info["go"])
	return nil
}
