// Package config is the configuration as a specification in code: spec.go and
// spec_flow.go hold one declaration per field, from which come loading,
// defaults, validation, the printed effective configuration with the source of
// each value, docs/configuration.md and docs/sluice.schema.json.
//
// It is the only place for YAML. It must not connect to anything, must not
// create or write files, and imports nothing of ours; components take their
// own options, which app makes from a Config.
//
// Failure modes: whatever is wrong with a configuration comes back as Errors,
// all at once, each with its place. No message holds the value of a secret
// field or of anything that came from the environment or from another file.
// The docs tests fail when the generated files are stale; mend them with
// go test ./internal/config -update.
package config
