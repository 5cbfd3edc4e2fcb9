// Package logs writes log lines: in slog's formats or in Monstache's, to the
// console or, by level, to files that are rotated.
package logs
