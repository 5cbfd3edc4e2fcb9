//go:build race

package transcode

// poolKeeps is false with the race detector: it makes sync.Pool drop some of
// what it was given.
const poolKeeps = false
