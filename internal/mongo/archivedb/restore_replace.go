package archivedb

import (
	"bytes"
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
)

var (
	// errOtherBytes says that the server does not keep a document as it was given.
	errOtherBytes = errors.New("the server would keep other bytes than those that were archived")
	// errMoved says that the live document is another than a moment before.
	errMoved = errors.New("the live document changed or was deleted at the same time; restore it again")
	// errNeedsTransaction says that a document can be replaced in a transaction
	// only.
	errNeedsTransaction = errors.New("it holds a zero Timestamp at its top, and such a document is replaced in a transaction only, which this server does not have")
)

// replace puts a document in the place of a live one that is an archived
// version of it, if it still is one: looked at, written and read back in one
// transaction. seen is the live one as it was read before.
func (r *homecoming) replace(ctx context.Context, i int, seen live) (cold.Return, error) {
	session, err := r.db.client.StartSession()
	if err != nil {
		return cold.Return{}, err
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	var ret cold.Return
	_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		var err error
		ret, err = r.replaceOnce(ctx, i, true)
		return nil, err
	}, snapshotMajority())
	if hasCode(err, codeIllegalOperation) { // no transactions here
		ret, err = r.replaceOnce(ctx, i, false)
	}
	switch {
	case err == nil:
		return ret, nil
	case mongo.IsDuplicateKeyError(err):
		return cold.Return{Returned: cold.Duplicate, Index: indexOf(err.Error()), Err: err}, nil
	case errors.Is(err, errOtherBytes), errors.Is(err, errMoved), errors.Is(err, errNeedsTransaction), ofDocument(err):
		return cold.Return{Returned: cold.Refused, Live: seen.doc, Err: err}, nil
	}
	return cold.Return{}, err
}

// replaceOnce looks, replaces and looks again.
func (r *homecoming) replaceOnce(ctx context.Context, i int, transaction bool) (cold.Return, error) {
	h := r.docs[i]
	raw, err := r.coll.FindOne(ctx, byID(h.ID)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return cold.Return{}, errMoved
	}
	if err != nil {
		return cold.Return{}, err
	}
	now := r.compare(i, raw)
	switch {
	case now.equal:
		return cold.Return{Returned: cold.Equal}, nil
	case !now.replaceable(h):
		return cold.Return{Returned: cold.Conflicting, Live: now.doc}, nil
	}
	if err := r.exchange(ctx, i, now.doc, transaction); err != nil {
		return cold.Return{}, err
	}
	raw, err = r.coll.FindOne(ctx, byID(h.ID)).Raw()
	if err != nil {
		return cold.Return{}, err
	}
	if !bytes.Equal(raw, h.Doc) {
		return cold.Return{}, errOtherBytes
	}
	return cold.Return{Returned: cold.Replaced}, nil
}

// exchange writes document i over the live one. It never does so by a pipeline:
// that makes the server compute the difference, and MongoDB 6.0.5 ends itself
// over one of documents in which a name is there twice (document_diff_serialization.cpp).
// What a replacement would alter is deleted and inserted anew.
func (r *homecoming) exchange(ctx context.Context, i int, now bson.Raw, transaction bool) error {
	h := r.docs[i]
	filter := byID(h.ID)
	if !transaction {
		filter = append(filter, bson.E{Key: "$expr", Value: equalTo(now)})
	}
	if w, err := wayOf(h); err != nil || w == byInsert {
		res, err := r.coll.ReplaceOne(ctx, filter, h.Doc, options.Replace().SetBypassDocumentValidation(true))
		if err == nil && res.MatchedCount == 0 {
			return errMoved
		}
		return err
	}
	if !transaction {
		return errNeedsTransaction
	}
	if _, err := r.coll.DeleteOne(ctx, filter); err != nil {
		return err
	}
	b := batch{way: byUpsert, at: []int{i}, bytes: len(h.Doc), inside: true}
	cmd := r.upsertCommand(b, true)
	return r.coll.Database().RunCommand(ctx, cmd).Err()
}
