package app

import "runtime/debug"

// Version is what `sluice version` prints and servers see as our name. A
// release build sets it by -ldflags "-X sluice/internal/app.Version=v1.2.3".
var Version = "dev"

// Revision returns the commit the binary was built from, "" if unknown.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
