package script

import (
	"sync"

	"github.com/dlclark/regexp2/v2"
)

// limitPatterns bounds how long one match of a pattern with look-around or
// back-references may take: they go by backtracking, which nobody can interrupt. Its
// limit is one for the process, and not below the longest timeout: so a call whose
// match was given up is cut.
//
//nolint:gochecknoglobals // done once, for what is one of the process
var limitPatterns = sync.OnceFunc(func() { regexp2.DefaultMatchTimeout = MaxTimeout })
