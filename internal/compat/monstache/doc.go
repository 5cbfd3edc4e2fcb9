// Package monstache reads what Monstache 6.x is configured by (its command line,
// its environment variables, its TOML file) and says the same as the text of a
// sluice.yaml.
//
// One table, Keys, holds every key, flag and variable: it drives what is parsed,
// what -print-config shows, docs/migrating-from-monstache.md and the tests. Read
// puts the layers together as Monstache does; Settings.Translate writes the text.
// Nothing here connects to anything.
package monstache
