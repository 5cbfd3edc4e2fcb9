package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"

	"sluice/internal/flow"
)

// StateFormat is the newest format of State that this program reads, and the
// one that it writes. Older ones are read for ever.
const StateFormat = 1

// ErrNewer says that a newer sluice wrote what we were to read.
var ErrNewer = errors.New("written by a newer sluice")

// State is what a flow has to know to go on where it was.
type State struct {
	// Format is set by Encode.
	Format int `json:"format"`
	// Flow is the name of the flow that the state belongs to.
	Flow string `json:"flow"`
	// Source names the MongoDB deployment (replicaSetId); rule S12.
	Source string `json:"source,omitempty"`
	// Fingerprints holds, by namespace, what shapes its documents.
	Fingerprints map[string]string `json:"fingerprints,omitempty"`
	// Targets holds, by namespace, the UUID of its index.
	Targets map[string]string `json:"targets,omitempty"`
	// Position is the source's own; empty before the first one is settled.
	Position json.RawMessage `json:"position,omitempty"`
	// Owner tells who saved it, and is set by the Keeper.
	Owner string `json:"owner,omitempty"`
}

// Encode returns s as JSON in the current format; equal states give equal bytes.
func (s State) Encode() ([]byte, error) {
	s.Format = StateFormat
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the state: %w", err)
	}
	return data, nil
}

// DecodeState is the inverse of Encode; no data gives a zero State. A newer
// format is refused with ErrNewer; the error is a flow.Error of class Fatal.
func DecodeState(data []byte) (State, error) {
	if len(data) == 0 {
		return State{}, nil
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return State{}, badState(err)
	}
	switch {
	case head.Format > StateFormat:
		return State{}, &flow.Error{
			Op: "read the saved state", Class: flow.Fatal,
			Err:  fmt.Errorf("format %d, and this program knows up to %d: %w", head.Format, StateFormat, ErrNewer),
			Hint: "run the newer sluice again; or give this one another state path, which copies everything again",
		}
	case head.Format < 1:
		return State{}, badState(fmt.Errorf("format %d has never been", head.Format))
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, badState(err)
	}
	return s, nil
}

func badState(err error) error {
	return &flow.Error{
		Op: "read the saved state", Class: flow.Fatal, Err: err,
		Hint: "restore it from a backup; or remove it, which copies everything again (the index stays searchable meanwhile)",
	}
}
