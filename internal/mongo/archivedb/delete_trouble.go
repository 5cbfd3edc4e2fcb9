package archivedb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Codes of the server.
const (
	codeIllegalOperation = 20
	codeNamespaceExists  = 48
	codeWriteConflict    = 112
	codeDuplicateKey     = 11000
)

// Labels of errors.
const (
	labelTransient = "TransientTransactionError"
	labelUnknown   = "UnknownTransactionCommitResult"
	labelRetry     = "RetryableWriteError"
)

// troubleKind says why a transaction did not commit, if another may.
type troubleKind uint8

const (
	// passing: the network, a new primary, a conflict about our own rows.
	passing troubleKind = iota + 1
	// contested: somebody else wrote to a document meanwhile, or holds it.
	contested
	// tooSlow: it was open for as long as it may be.
	tooSlow
	// tooLarge: the documents are more bytes than one transaction takes.
	tooLarge
)

// trouble is why a transaction was aborted that may be tried again.
type trouble struct {
	kind troubleKind
	fits int // for tooLarge: how many documents are not too many
	err  error
}

// Error returns the cause.
func (t *trouble) Error() string { return t.err.Error() }

// Unwrap returns the cause.
func (t *trouble) Unwrap() error { return t.err }

// troubleOf tells whether err, of a command in a transaction, is trouble that
// passes; conflict is the kind for a write conflict.
func troubleOf(ctx context.Context, err error, conflict troubleKind) (*trouble, bool) {
	switch {
	case hasCode(err, codeWriteConflict):
		return &trouble{kind: conflict, err: err}, true
	case hasCode(err, codeMaxTimeExpired), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &trouble{kind: tooSlow, err: err}, true
	case hasLabel(err, labelTransient), hasLabel(err, labelUnknown), mongo.IsNetworkError(err), mongo.IsTimeout(err):
		return &trouble{kind: passing, err: err}, true
	}
	return nil, false
}

func hasCode(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}

func hasLabel(err error, label string) bool {
	var le mongo.LabeledError
	return errors.As(err, &le) && le.HasErrorLabel(label)
}
