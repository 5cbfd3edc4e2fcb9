package archtest

import (
	"slices"
	"strings"
	"testing"
)

// mayImport is the table of the architecture: what a package may import of
// ours. A package that is not named here is refused, so that a new one is
// thought about. "*" stands for all.
var mayImport = map[string][]string{
	"internal/flow":       {},
	"internal/transcode":  {},
	"internal/config":     {},
	"internal/checkpoint": {"internal/flow"},
	"internal/mongo":      {"internal/flow", "internal/checkpoint", "internal/transcode", "internal/relate", "internal/quota"},
	"internal/relate":     {},
	"internal/search":     {"internal/flow", "internal/checkpoint", "internal/transcode"},
	"internal/pipeline":   {"internal/flow", "internal/checkpoint", "internal/transcode", "internal/quota"},
	"internal/quota":      {},
	"internal/logs":       {"internal/flow"},
	"internal/systemd":    {},
	"internal/deadletter": {"internal/flow", "internal/transcode"},
	"internal/web":        {"internal/flow"},
	"internal/cold":       {"internal/flow"},
	"internal/lease":      {"internal/flow"},
	"internal/mql":        {},
	"internal/governor":   {"internal/flow"},
	"internal/transform":  {"internal/flow", "internal/mql", "internal/transcode"},
	"internal/script":     {"internal/flow", "internal/transform"},
	"internal/objstore":   {"internal/flow"},
	"internal/pack":       {"internal/flow", "internal/cold"},
	"internal/archive":    {"internal/governor", "internal/flow", "internal/quota", "internal/cold", "internal/lease", "internal/objstore", "internal/pack", "internal/archive/catalogue"},
	"internal/app":        {"*"},
	"cmd/sluice":          {"internal/app", "internal/compat/gochive", "internal/compat/monstache", "internal/config", "internal/flow"},

	"internal/compat/gochive":    {},
	"internal/compat/monstache":  {},
	"internal/mongo/vitals":      {"internal/flow", "internal/governor", "internal/mongo"},
	"internal/mongo/archivedb":   {"internal/flow", "internal/cold", "internal/governor", "internal/lease", "internal/mongo", "internal/mongo/vitals"},
	"internal/mongo/monstachedb": {"internal/flow", "internal/mongo"},
	"internal/mongo/statedb":     {"internal/flow", "internal/checkpoint", "internal/deadletter", "internal/mongo"},
	"internal/archive/catalogue": {"internal/flow", "internal/cold", "internal/objstore", "internal/pack", "internal/mql"},
	"internal/archive/foreign":   {"internal/flow", "internal/mql", "internal/objstore"},
	"internal/archive/restore":   {"internal/flow", "internal/cold", "internal/archive/catalogue", "internal/pack", "internal/mql"},

	// Contract suites and shapes of documents: for tests and benchmarks only.
	"internal/transcode/shapes":          {},
	"internal/checkpoint/storetest":      {"internal/checkpoint", "internal/flow"},
	"internal/deadletter/deadlettertest": {"internal/deadletter", "internal/flow", "internal/transcode"},
	"internal/objstore/objstoretest":     {"internal/objstore", "internal/flow"},
	"internal/lease/leasetest":           {"internal/lease", "internal/flow"},
	// Test-only.
	"internal/archtest":        {},
	"internal/testreport":      {},
	"internal/testkit":         {"*"},
	"internal/testkit/mutants": {},
	"internal/e2e":             {"*"},
	"internal/demo":            {"*"},
	"internal/bench":           {"*"},
}

// testOnly starts the names of packages that the product never imports.
var testOnly = []string{
	"internal/testkit", "internal/archtest", "internal/testreport", "internal/e2e",
	"internal/demo", "internal/bench", "internal/transcode/shapes", "internal/checkpoint/storetest", "internal/deadletter/deadlettertest",
	"internal/objstore/objstoretest", "internal/lease/leasetest",
}

// apart are the packages that never import each other, not even in tests:
// each declares what it wants from a neighbour, and app joins them.
var apart = []string{"internal/mongo", "internal/search", "internal/pipeline"}

// onlyPlaces says where a package of others may be imported by the product.
var onlyPlaces = map[string][]string{
	"github.com/goccy/go-yaml":             {"internal/config", "internal/compat/gochive"},
	"github.com/alecthomas/kong":           {"cmd/sluice"},
	"github.com/pelletier/go-toml":         {"internal/compat/monstache"},
	"github.com/dop251/goja":               {"internal/script"},
	"github.com/dlclark/regexp2":           {"internal/script"},
	"go.mongodb.org/mongo-driver/v2/mongo": {"internal/mongo", "internal/mongo/archivedb", "internal/mongo/monstachedb", "internal/mongo/statedb", "internal/mongo/vitals"},
	"go.mongodb.org/mongo-driver/v2/x":     {"internal/mongo", "internal/mongo/archivedb", "internal/config"},
	"go.mongodb.org/mongo-driver/v2/event": {"internal/mongo"},
	"github.com/aws":                       {"internal/objstore", "internal/search"},
	"gopkg.in/natefinch/lumberjack.v2":     {"internal/logs"},
	"github.com/robfig/cron":               {"internal/config", "internal/app"},
	"net/http":                             {"internal/search", "internal/web", "internal/app", "internal/objstore", "cmd/sluice"},
	"log":                                  {},
	"github.com/pkg/errors":                {},
	"encoding/gob":                         {},
	"go.uber.org/goleak":                   {},
	"pgregory.net/rapid":                   {},
	"testing":                              {},
	"github.com/prometheus/client_golang/prometheus/promauto": {},
}

func isTestOnly(name string) bool {
	return slices.ContainsFunc(testOnly, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}

// table returns what a package may import; one below testkit counts as testkit.
func table(name string) (allowed []string, known bool) {
	if allowed, known = mayImport[name]; !known && strings.HasPrefix(name, "internal/testkit/") {
		return mayImport["internal/testkit"], true
	}
	return allowed, known
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range mustPackages(t) {
		allowed, known := table(p.name())
		if !known {
			t.Errorf("%s is not in the table of imports: see mayImport", p.name())
			continue
		}
		for _, i := range p.Imports {
			dep, ours := strings.CutPrefix(i, module+"/")
			switch {
			case !ours:
			case isTestOnly(dep) && !isTestOnly(p.name()):
				t.Errorf("%s imports %s, which is for tests", p.name(), dep)
			case !slices.Contains(allowed, dep) && !slices.Contains(allowed, "*"):
				t.Errorf("%s imports %s: declare a small interface for what it needs, and let app join them", p.name(), dep)
			}
		}
	}
}

func TestNeighboursStayApartInTestsToo(t *testing.T) {
	for _, p := range mustPackages(t) {
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			dep := strings.TrimPrefix(i, module+"/")
			if slices.Contains(apart, p.name()) && slices.Contains(apart, dep) && p.name() != dep {
				t.Errorf("a test of %s imports %s: what concerns both is tested in internal/e2e", p.name(), dep)
			}
		}
	}
}

func TestEachLibraryHasItsPlace(t *testing.T) {
	for _, p := range mustPackages(t) {
		if isTestOnly(p.name()) {
			continue
		}
		for _, i := range p.Imports {
			for lib, places := range onlyPlaces {
				if (i == lib || strings.HasPrefix(i, lib+"/") && strings.Contains(lib, ".")) && !slices.Contains(places, p.name()) {
					t.Errorf("%s imports %s, which only %v may", p.name(), i, places)
				}
			}
		}
	}
}

// The longest chain of imports of ours below a command.
func TestImportDepth(t *testing.T) {
	deps := map[string][]string{}
	for _, p := range mustPackages(t) {
		for _, i := range p.Imports {
			if dep, ours := strings.CutPrefix(i, module+"/"); ours {
				deps[p.name()] = append(deps[p.name()], dep)
			}
		}
	}
	// cmd, app, archive, its catalogue, the pack, its nouns, those of the flow.
	const most = 7
	var depth func(name string, above int) int
	depth = func(name string, above int) int {
		deepest := above + 1
		// A cycle, which does not compile either, ends here.
		if deepest > most {
			return deepest
		}
		for _, d := range deps[name] {
			deepest = max(deepest, depth(d, above+1))
		}
		return deepest
	}
	if d := depth("cmd/sluice", 0); d > most {
		t.Errorf("imports below cmd/sluice are %d packages deep", d)
	}
}
