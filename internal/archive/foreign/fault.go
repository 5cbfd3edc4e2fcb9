package foreign

import (
	"errors"
	"fmt"
	"strings"

	"sluice/internal/flow"
)

// Fault is what is damaged, or not what go-chive writes.
type Fault struct {
	Object string `json:"object"`
	// Member is the file inside, "" where none had begun.
	Member string `json:"member,omitempty"`
	// At is the byte of the member, counted from 0, or of the object without one.
	At     int64  `json:"at"`
	Reason string `json:"reason"`
	// Whole: what follows in the object can't be read either, so all of it counts
	// as damaged; else the member alone.
	Whole bool `json:"whole,omitempty"`
	// number is that of the member.
	number int
}

// String tells it in one line.
func (f Fault) String() string {
	if f.Member == "" {
		return fmt.Sprintf("%s, byte %d: %s", f.Object, f.At, f.Reason)
	}
	return fmt.Sprintf("%s, member %s, byte %d: %s", f.Object, f.Member, f.At, f.Reason)
}

// misfit is a member that is not what go-chive writes.
type misfit struct {
	at     int64
	reason string
}

func (m *misfit) Error() string { return m.reason }

// damaged is the refusal to go on past faults. how is the way out.
func damaged(op string, faults []Fault, how string) error {
	const most = 5
	var lines []string
	for i, f := range faults {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more", len(faults)-most))
			break
		}
		lines = append(lines, f.String())
	}
	return &flow.Error{Op: op, Class: flow.Fatal, Err: errors.New(strings.Join(lines, "; ")), Hint: how}
}
