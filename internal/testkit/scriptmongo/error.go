package scriptmongo

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Error is an error as a server sends it.
type Error struct {
	Code    int32
	Name    string
	Message string
	Labels  []string
}

// Error formats it.
func (e *Error) Error() string { return fmt.Sprintf("(%s %d) %s", e.Name, e.Code, e.Message) }

// Labels that servers put on errors of change streams.
const (
	LabelResumable    = "ResumableChangeStreamError"
	LabelNonResumable = "NonResumableChangeStreamError"
)

// Fault makes an error with the code's usual name and labels.
func Fault(code int32) *Error {
	known := map[int32]Error{
		9:     {Name: "FailedToParse"},
		13:    {Name: "Unauthorized"},
		43:    {Name: "CursorNotFound"},
		91:    {Name: "ShutdownInProgress", Labels: []string{LabelResumable}},
		112:   {Name: "WriteConflict"},
		136:   {Name: "CappedPositionLost"},
		143:   {Name: "CursorInUse"},
		175:   {Name: "QueryPlanKilled"},
		189:   {Name: "PrimarySteppedDown", Labels: []string{LabelResumable}},
		237:   {Name: "CursorKilled"},
		239:   {Name: "SnapshotTooOld"},
		246:   {Name: "SnapshotUnavailable"},
		260:   {Name: "InvalidResumeToken"},
		280:   {Name: "ChangeStreamFatalError", Labels: []string{LabelNonResumable}},
		286:   {Name: "ChangeStreamHistoryLost", Labels: []string{LabelNonResumable}},
		10107: {Name: "NotWritablePrimary", Labels: []string{LabelResumable}},
		10334: {Name: "BSONObjectTooLarge"},
		11601: {Name: "Interrupted"},
	}
	e, ok := known[code]
	if !ok {
		e.Name = fmt.Sprintf("Location%d", code)
	}
	e.Code, e.Message = code, "scripted "+e.Name
	return &e
}

func (e *Error) doc() bson.D {
	d := bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: e.Message}, {Key: "code", Value: e.Code}, {Key: "codeName", Value: e.Name}}
	if len(e.Labels) > 0 {
		d = append(d, bson.E{Key: "errorLabels", Value: e.Labels})
	}
	return d
}
