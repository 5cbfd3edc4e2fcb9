package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"sluice/internal/app"
)

type resyncCmd struct {
	flowFlags
	restFlag
	jsonFlag
	Namespace string   `arg:"" help:"The collection: DB.COLL."`
	Key       []string `sep:"none" help:"Only the document with this _id: Extended JSON, 24 hex digits, a number, or text. May be repeated." placeholder:"ID"`
}

// Help is shown by --help.
func (*resyncCmd) Help() string {
	return "A collection is copied again by the running sluice, in place: the index stays in use, the stream goes on, " +
		"and at the end what MongoDB no longer has is removed. With --key only those documents are read and written, " +
		"or removed if MongoDB does not have them; that works without a running sluice too."
}

// Run copies again.
func (r *resyncCmd) Run(ctx context.Context, c *cli, out stdio) error {
	t, err := r.target()
	if err != nil {
		return err
	}
	var done app.Resynced
	err = errNobody
	if !r.Offline {
		q := url.Values{"ns": {r.Namespace}}
		if len(r.Key) > 0 {
			q["key"] = r.Key
		}
		err = t.send(ctx, http.MethodPost, "resync", q, &done)
	}
	if errors.Is(err, errNobody) {
		if len(r.Key) == 0 {
			return t.nobody("a whole collection is copied by a running sluice: start it with 'sluice run --resync " + r.Namespace + "'")
		}
		var o app.RestOptions
		if o, err = t.rest(c, out, r.Offline); err == nil {
			done, err = app.ResyncKeys(ctx, o, r.Namespace, r.Key)
		}
	}
	if err != nil {
		return err
	}
	if err := tell(out, r.JSON, done, done.Text()); err != nil {
		return err
	}
	if len(done.DeadLetters) > 0 {
		return errDiffers
	}
	return nil
}
