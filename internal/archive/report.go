package archive

import (
	"errors"
	"fmt"
	"strings"

	"sluice/internal/cold"
	"sluice/internal/flow"
)

// ErrRefused says that a plan was refused; PlanResult.Refusals tell why.
var ErrRefused = errors.New("the plan was refused")

// Report is what a Run did. It is filled as far as it came, also with an error.
type Report struct {
	Rule string `json:"rule"`
	NS   string `json:"namespace"`
	// Run is nil if there was nothing old.
	Run  *cold.Run  `json:"run,omitempty"`
	Plan PlanResult `json:"plan"`
	// Resumed and Abandoned count the packs of earlier runs that were gone on
	// with, or given up before they were committed.
	Resumed   int `json:"resumed"`
	Abandoned int `json:"abandoned"`
	// Waiting counts the packs that are committed and not due to be deleted.
	Waiting int `json:"waiting"`
	// Deleted, Changed and Gone count what this call did, for any run.
	Deleted int64 `json:"deleted"`
	Changed int64 `json:"changed"`
	Gone    int64 `json:"gone"`
	// Held and Skipped documents were not archived: on hold after a restore, or
	// not fit for a pack.
	Held    int64 `json:"held"`
	Skipped int64 `json:"skipped"`
	// Phases tells where the time went.
	Phases Phases `json:"phases"`
}

// refused makes an error of the refusals.
func refused(rule Rule, p PlanResult) error {
	var what, cure []string
	for _, r := range p.Refusals {
		what = append(what, r.What)
		cure = append(cure, r.Cure)
	}
	return &flow.Error{
		Op: "plan rule " + rule.Name + " on", Object: rule.NS.String(), Class: flow.Config,
		Err: fmt.Errorf("%w: %s", ErrRefused, strings.Join(what, "; ")), Hint: strings.Join(cure, "\n"),
	}
}
