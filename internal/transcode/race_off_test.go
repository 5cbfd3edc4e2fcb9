//go:build !race

package transcode

// poolKeeps: what a sync.Pool was given, it gives back.
const poolKeeps = true
