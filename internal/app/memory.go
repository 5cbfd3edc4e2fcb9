package app

import (
	"io/fs"
	"log/slog"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// What the collector is told to stay below.
const (
	// besideQueues is what is being read and written beside the queues.
	besideQueues = 16 << 20
	// containerShare is how much of a container's limit the heap may take; the
	// rest is for stacks, and for what the kernel keeps for us.
	containerShare = 0.9
	// noLimit is above what anybody means by a limit: GOMEMLIMIT without a value,
	// and version 1 of cgroups, have such numbers.
	noLimit = 1 << 62
)

// boundMemory bounds what the flows and rules of the configuration use, and
// warns when the container has too little for them.
func (a *App) boundMemory() {
	queues := int64(0)
	if len(a.config().Flows) > 0 {
		queues += int64(a.config().Limits.MemoryBudget)
	}
	if len(a.config().Archive) > 0 {
		queues += archiveMemory
	}
	limit, container := boundMemory(queues)
	if container > 0 && queues+besideQueues > limit {
		a.o.Logger.Warn("the container's memory limit leaves too little beside the queues: raise it, or lower limits.memory_budget",
			slog.Int64("container_limit", container), slog.Int64("queues", queues))
	}
}

// boundMemory tells the collector what we intend to use, unless the user has by
// GOMEMLIMIT, and returns what then holds, with the container's limit (0: none).
// It is no hard limit: larger documents take what they need.
func boundMemory(queues int64) (limit, container int64) {
	container = containerMemory(os.DirFS("/"))
	if set := debug.SetMemoryLimit(-1); set < noLimit {
		return set, container
	}
	limit = collectorLimit(queues, container)
	debug.SetMemoryLimit(limit)
	return limit, container
}

// collectorIsFree tells whether nobody has told the collector a limit.
func collectorIsFree() bool { return debug.SetMemoryLimit(-1) >= noLimit }

// boundMemoryAgain is boundMemory for another configuration.
func (a *App) boundMemoryAgain() {
	if a.ownsMemory {
		debug.SetMemoryLimit(noLimit)
	}
	a.boundMemory()
}

// collectorLimit is what the heap may grow to: what we intend to use, and in a
// container no more than its owner has given us.
func collectorLimit(queues, container int64) int64 {
	limit := queues + besideQueues
	if container > 0 {
		limit = min(limit, int64(containerShare*float64(container)))
	}
	return limit
}

// containerMemory is the smallest memory limit of the control groups that this
// process is in, in bytes; 0 if there is none, or if the system has no such
// groups. root is the root of the file system.
func containerMemory(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range strings.Lines(string(groups)) {
		// 0::/path of version 2, 4:memory:/path of version 1.
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		top, file := "sys/fs/cgroup", "memory.max"
		switch {
		case controllers == "":
		case strings.Contains(","+controllers+",", ",memory,"):
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		if n := groupMemory(root, top, path.Clean("/"+group), file); n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// groupMemory is the smallest limit of a group and of those above it; 0 for
// none. A container sees its own group as the top one, whatever its path says.
func groupMemory(root fs.FS, top, group, file string) int64 {
	least := int64(0)
	for {
		text, err := fs.ReadFile(root, path.Join(top, group, file))
		if err == nil {
			// "max" is no number, and no limit.
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			if err == nil && n > 0 && n < noLimit && (least == 0 || n < least) {
				least = n
			}
		}
		if group == "/" {
			return least
		}
		group = path.Dir(group)
	}
}
