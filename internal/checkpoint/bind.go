package checkpoint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/internal/flow"
)

// AllNamespaces stands for every namespace in Choices.Resync.
const AllNamespaces = "*"

// Binding is what a saved position has to fit (rule S12), as found at a start.
type Binding struct {
	// Source names the MongoDB deployment (replicaSetId).
	Source string
	// Fingerprints holds, for each namespace that the flow follows now, what
	// shapes its documents.
	Fingerprints map[string]string
	// Targets holds what was found of the index of each of them.
	Targets map[string]Target
}

// Target is the index of a namespace as found at a start.
type Target struct {
	// UUID is "" if there is no index.
	UUID string
	// Docs is how many documents it holds.
	Docs int64
}

// Choices are what a user may say at a start about a state that does not fit.
type Choices struct {
	// Resync names namespaces to copy again (`--resync NS`), or AllNamespaces.
	Resync []string
	// AcceptShape leaves documents as they are although the configuration that
	// shapes them has changed (`--accept-shape`).
	AcceptShape bool
}

// Reason says why a namespace is copied, or left as it is.
type Reason string

// The reasons of a Decision.
const (
	// ReasonFits: nothing has changed; go on.
	ReasonFits Reason = "fits"
	// ReasonFirst: the flow has no position yet; the source copies everything
	// anyway.
	ReasonFirst Reason = "first run"
	// ReasonNew: the namespace has no part in the saved state.
	ReasonNew Reason = "new namespace"
	// ReasonAsked: the user asked for it.
	ReasonAsked Reason = "asked for"
	// ReasonNoIndex: its index is gone.
	ReasonNoIndex Reason = "index missing"
	// ReasonOtherIndex: its index was deleted and made again.
	ReasonOtherIndex Reason = "index replaced"
	// ReasonAccepted: its shape has changed, and the user accepts that.
	ReasonAccepted Reason = "changed shape accepted"
)

// Decision is what becomes of one namespace at a start.
type Decision struct {
	NS string
	// Resync: copy it again.
	Resync bool
	// Ghosts: the copy ends with the removal of documents that MongoDB does not
	// have; true if the index may hold any.
	Ghosts bool
	Reason Reason
}

// Bind compares a saved state with what is there now and decides for each
// namespace, sorted by name. What only the user can decide is an error of
// class Config that names the choices: another source, a changed shape, a
// choice for a namespace that the flow does not follow. It has no side effects.
func Bind(saved State, now Binding, c Choices) ([]Decision, error) {
	if saved.Source != "" && saved.Source != now.Source {
		return nil, otherSource(saved, now)
	}
	for _, ns := range c.Resync {
		if _, ok := now.Fingerprints[ns]; !ok && ns != AllNamespaces {
			return nil, &flow.Error{
				Op: "resync", Object: ns, Class: flow.Config,
				Err:  fmt.Errorf("flow %s does not follow it", saved.Flow),
				Hint: "it follows: " + strings.Join(names(now.Fingerprints), ", "),
			}
		}
	}
	var decisions []Decision
	var reshaped []string
	for _, ns := range names(now.Fingerprints) {
		d, ok := decide(saved, now, c, ns)
		if !ok {
			reshaped = append(reshaped, ns)
		}
		decisions = append(decisions, d)
	}
	if len(reshaped) > 0 {
		return nil, otherShape(saved.Flow, reshaped)
	}
	return decisions, nil
}

// decide is false if the shape has changed and the user has said nothing.
func decide(saved State, now Binding, c Choices, ns string) (Decision, bool) {
	target := now.Targets[ns]
	again := func(why Reason) (Decision, bool) {
		return Decision{NS: ns, Resync: true, Ghosts: target.Docs > 0, Reason: why}, true
	}
	if len(saved.Position) == 0 {
		return again(ReasonFirst)
	}
	shape, known := saved.Fingerprints[ns]
	if !known {
		return again(ReasonNew)
	}
	// A copy of everything settles a changed shape too, so it is asked last.
	switch uuid := saved.Targets[ns]; {
	case target.UUID == "":
		return again(ReasonNoIndex)
	case target.UUID != uuid:
		return again(ReasonOtherIndex)
	case slices.Contains(c.Resync, ns), slices.Contains(c.Resync, AllNamespaces):
		return again(ReasonAsked)
	case shape == now.Fingerprints[ns]:
		return Decision{NS: ns, Reason: ReasonFits}, true
	case c.AcceptShape:
		return Decision{NS: ns, Reason: ReasonAccepted}, true
	}
	return Decision{}, false
}

func otherSource(saved State, now Binding) error {
	return &flow.Error{
		Op: "continue flow", Object: saved.Flow, Class: flow.Config,
		Err: fmt.Errorf("its state was made with the MongoDB deployment %s, and this one is %s", saved.Source, now.Source),
		Hint: "check mongodb.uri; if the move is meant, give the flow another name, or move its saved state away:\n" +
			"both copy everything again, the index stays searchable meanwhile, and what this deployment does not have leaves it",
	}
}

func otherShape(flowName string, namespaces []string) error {
	all := strings.Join(namespaces, ", ")
	return &flow.Error{
		Op: "continue flow", Object: flowName, Class: flow.Config,
		Err: fmt.Errorf("the configuration that shapes the documents of %s has changed since they were indexed", all),
		Hint: "copy them again in place:       --resync " + strings.Join(namespaces, " --resync ") + "\n" +
			"leave those already indexed:    --accept-shape (each takes the new shape at its next change)\n" +
			"or put the configuration back as it was",
	}
}

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
