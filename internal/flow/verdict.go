package flow

// Outcome is what became of one change (rule S7).
type Outcome uint8

// The outcomes of a change.
const (
	// Done: written, or deleted, or nothing to write (OpSkip).
	Done Outcome = iota + 1
	// Superseded: the index holds a newer version (409).
	Superseded
	// Retry: not written for a passing reason; send again after a pause.
	Retry
	// DeadLetter: the document itself is at fault; keep it aside and go on.
	DeadLetter
	// Halt: something only a person can mend; stop the flow.
	Halt
)

// String names the outcome as metrics show it.
func (o Outcome) String() string {
	switch o {
	case Done:
		return "done"
	case Superseded:
		return "superseded"
	case Retry:
		return "retry"
	case DeadLetter:
		return "dead_letter"
	case Halt:
		return "halt"
	}
	return "unknown"
}

// Verdict is the outcome of one change with its reason.
type Verdict struct {
	Outcome Outcome
	// Reason is a short stable word for metrics and summaries, such as
	// "rejected", "disk_full", "mapping"; empty for Done.
	Reason string
	// Err tells the whole story; nil for Done and Superseded.
	Err error
}
