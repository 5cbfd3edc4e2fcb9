package mongo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"sluice/internal/flow"
)

// action is what an error of the stream leads to (rule S6).
type action uint8

const (
	// reopen: it passes; open the stream again from our own token.
	reopen action = iota + 1
	// reopenFew: not known; the same, a few times.
	reopenFew
	// reopenByTime: the token's event is hidden from this stream; nothing is
	// lost by starting at its time.
	reopenByTime
	// reopenSlim: the event is too large with its document.
	reopenSlim
	// lost: the oplog does not reach back to where we were.
	lost
	// broken: what we sent is no token.
	broken
	// refused: rights are missing.
	refused
	// unfit: the server, or what was asked to be followed, has no change stream.
	unfit
)

// maxUnknown is how many unknown errors in a row are tried again.
const maxUnknown = 5

// actionOfCode returns what a code of the server leads to.
func actionOfCode(code int32) action {
	switch code {
	case 286, 136, 260: // ChangeStreamHistoryLost, CappedPositionLost, InvalidResumeToken
		return lost
	case 280: // ChangeStreamFatalError
		return reopenByTime
	case 9, 15, 40647, 40649, 50811:
		// FailedToParse, Overflow, "the token is no string": a token that was
		// damaged, not history that is gone.
		return broken
	case 10334: // BSONObjectTooLarge
		return reopenSlim
	case 13, 18, 33: // Unauthorized, AuthenticationFailed
		return refused
	case 73, 166, 40573, 40324:
		return unfit
	case 6, 7, 24, 43, 50, 63, 64, 89, 91, 112, 133, 134, 143, 150, 175, 189, 202, 234, 237, 239, 246, 262, 290,
		317, 384, 9001, 10058, 10107, 11600, 11601, 11602, 13388, 13435, 13436, 50738:
		return reopen
	}
	return reopenFew
}

// actionOf classifies an error of the stream, or of a read.
func actionOf(err error) action {
	code, ok := codeOf(err)
	if !ok {
		if isAuth(err) {
			return refused
		}
		return reopen // the network, or no server to be found
	}
	a := actionOfCode(code)
	if a == reopenFew && labeled(err) {
		return reopen
	}
	return a
}

// codeOf returns the server's code; ok is false if no server spoke.
func codeOf(err error) (code int32, ok bool) {
	var ce mongo.CommandError
	if errors.As(err, &ce) && ce.Code != 0 {
		return ce.Code, true
	}
	return 0, false
}

// labeled tells whether the server says that it passes.
func labeled(err error) bool {
	var le mongo.LabeledError
	return errors.As(err, &le) && (le.HasErrorLabel("ResumableChangeStreamError") ||
		le.HasErrorLabel("NetworkError") || le.HasErrorLabel("RetryableReadError") ||
		le.HasErrorLabel("SystemOverloadedError") || le.HasErrorLabel("TransientTransactionError"))
}

// isAuth tells whether a login failed, which the driver reports as an error of
// the connection.
func isAuth(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "auth error") || strings.Contains(err.Error(), "AuthenticationFailed"))
}

// cancelled tells whether err is only the end of ctx.
func cancelled(ctx context.Context, err error) bool {
	return ctx.Err() != nil && err != nil
}

// plain returns err without what the server repeats of our command.
func plain(err error) error {
	var ce mongo.CommandError
	if !errors.As(err, &ce) {
		return err
	}
	text := ce.Message
	if at := strings.Index(text, " to execute command"); at >= 0 {
		text = text[:at]
	}
	return &serverError{text: text, err: ce}
}

// serverError is a command error in short form.
type serverError struct {
	text string
	err  mongo.CommandError
}

// Error returns the server's words with code and name.
func (e *serverError) Error() string {
	return fmt.Sprintf("%s (%d %s)", e.text, e.err.Code, e.err.Name)
}

// Unwrap returns the error of the driver.
func (e *serverError) Unwrap() error { return e.err }

// fault makes a flow.Error of an error of the driver: its class says what the
// caller may do about it.
func fault(op, object string, err error) *flow.Error {
	e := &flow.Error{Op: op, Object: object, Err: plain(err)}
	switch actionOf(err) {
	case reopen:
		e.Class = flow.Transient
	case refused:
		e.Class = flow.Auth
	case lost:
		e.Class = flow.Lost
	case broken, reopenSlim:
		e.Class = flow.Fatal
	case unfit:
		e.Class = flow.Config
	}
	if mongo.IsTimeout(err) || mongo.IsNetworkError(err) {
		e.Class = flow.Transient
	}
	return e
}
