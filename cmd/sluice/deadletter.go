package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/flow"
)

type deadletterCmd struct {
	Ls    letterLsCmd    `cmd:"" help:"List dead letters."`
	Show  letterShowCmd  `cmd:"" help:"Show the dead letters of one document, with the engine's error."`
	Retry letterRetryCmd `cmd:"" help:"Read the documents again, as they are now, and write them; exit code 3 if some still can't be written."`
	Drop  letterDropCmd  `cmd:"" help:"Forget about dead letters. The documents stay out of the index until they change."`
}

// letterFlags choose dead letters.
type letterFlags struct {
	Namespace string   `help:"Only of this collection." placeholder:"DB.COLL"`
	Reason    string   `help:"Only for this reason, as ls shows it." placeholder:"WORD"`
	Key       []string `sep:"none" help:"Only of the document with this _id: Extended JSON, 24 hex digits, a number, or text. May be repeated." placeholder:"ID"`
}

func (l *letterFlags) filter() app.LetterFilter {
	return app.LetterFilter{Namespace: l.Namespace, Reason: l.Reason, Keys: l.Key}
}

// values is the choice as a query.
func (l *letterFlags) values() url.Values {
	q := url.Values{}
	if l.Namespace != "" {
		q.Set("ns", l.Namespace)
	}
	if l.Reason != "" {
		q.Set("reason", l.Reason)
	}
	if len(l.Key) > 0 {
		q["key"] = l.Key
	}
	return q
}

type letterLsCmd struct {
	flowFlags
	restFlag
	jsonFlag
	letterFlags
	Limit int `default:"100" help:"The newest letters, at most; 0 for all." placeholder:"N"`
}

// Run lists dead letters.
func (l *letterLsCmd) Run(ctx context.Context, c *cli, out stdio) error {
	if l.Limit < 0 {
		return &flow.Error{Op: "read --limit", Class: flow.Config, Err: errors.New("it is negative")}
	}
	f := l.filter()
	f.Limit = l.Limit
	list, err := letters(ctx, c, out, &l.flowFlags, l.Offline, l.values(), f)
	if err != nil {
		return err
	}
	return tell(out, l.JSON, list, lettersText(list))
}

type letterShowCmd struct {
	flowFlags
	restFlag
	jsonFlag
	Key       string `arg:"" name:"id" help:"The _id: Extended JSON, 24 hex digits, a number, or text."`
	Namespace string `help:"Only of this collection." placeholder:"DB.COLL"`
	Body      bool   `help:"Read the document from MongoDB, as it is now, and show it. It wants the configuration."`
}

// Run shows the dead letters of a document.
func (s *letterShowCmd) Run(ctx context.Context, c *cli, out stdio) error {
	chosen := letterFlags{Namespace: s.Namespace, Key: []string{s.Key}}
	f := chosen.filter()
	f.Errors = true
	q := chosen.values()
	q.Set("errors", "true")
	list, err := letters(ctx, c, out, &s.flowFlags, s.Offline, q, f)
	if err != nil {
		return err
	}
	if len(list.Letters) == 0 {
		return &flow.Error{Op: "find a dead letter of", Object: s.Key, Class: flow.Fatal, Err: errors.New("there is none"), Hint: "sluice deadletter ls lists them"}
	}
	if s.Body {
		if err := s.bodies(ctx, c, out, list); err != nil {
			return err
		}
	}
	return tell(out, s.JSON, list.Letters, letterText(list.Letters))
}

// bodies adds the documents. MongoDB is asked from here: no document goes
// through the HTTP server of sluice.
func (s *letterShowCmd) bodies(ctx context.Context, c *cli, out stdio, list app.DeadLetterList) error {
	t, err := s.target()
	if err != nil {
		return err
	}
	if t.cfg == nil {
		return &flow.Error{Op: "read the document", Class: flow.Config, Err: errors.New("there is no configuration that says where MongoDB is"), Hint: "name it by --config"}
	}
	o, err := t.rest(c, out, false)
	if err != nil {
		return err
	}
	for i := range list.Letters {
		l := &list.Letters[i]
		if l.Document, err = app.CurrentDocument(ctx, o, *l); err != nil {
			return err
		}
	}
	return nil
}

// letters asks the running sluice, or reads the store.
func letters(ctx context.Context, c *cli, out stdio, flags *flowFlags, offline bool, q url.Values, f app.LetterFilter) (list app.DeadLetterList, err error) {
	t, err := flags.target()
	if err != nil {
		return list, err
	}
	if !offline {
		q.Set("limit", strconv.Itoa(f.Limit))
		if err = t.send(ctx, http.MethodGet, "deadletters", q, &list); !errors.Is(err, errNobody) {
			return list, err
		}
	}
	o, err := t.rest(c, out, offline)
	if err != nil {
		return list, err
	}
	return app.DeadLetters(ctx, o, f)
}

type letterRetryCmd struct {
	flowFlags
	restFlag
	jsonFlag
	letterFlags
}

// Run tries dead letters again.
func (r *letterRetryCmd) Run(ctx context.Context, c *cli, out stdio) error {
	t, err := r.target()
	if err != nil {
		return err
	}
	total, err := r.rounds(ctx, c, out, t)
	if err != nil {
		return err
	}
	if err := tell(out, r.JSON, total, total.Text()); err != nil {
		return err
	}
	if len(total.Open) > 0 || total.NotFollowed > 0 || total.More {
		return errDiffers
	}
	return nil
}

// rounds tries some letters after the others, as long as that closes some.
func (r *letterRetryCmd) rounds(ctx context.Context, c *cli, out stdio, t *flowTarget) (app.DeadLetterRetry, error) {
	var total app.DeadLetterRetry
	for {
		f, q := r.filter(), r.values()
		if f.Before = total.Before; !f.Before.IsZero() {
			q.Set("before", f.Before.Format(time.RFC3339Nano))
		}
		var part app.DeadLetterRetry
		err := errNobody
		if !r.Offline {
			err = t.send(ctx, http.MethodPost, "deadletters/retry", q, &part)
		}
		if errors.Is(err, errNobody) {
			var o app.RestOptions
			if o, err = t.rest(c, out, r.Offline); err == nil {
				part, err = app.RetryDeadLetters(ctx, o, f)
			}
		}
		total.Add(part)
		if err != nil || !part.More || part.Closed == 0 {
			return total, err
		}
	}
}

type letterDropCmd struct {
	flowFlags
	restFlag
	jsonFlag
	letterFlags
	All bool `help:"Every dead letter of the flow."`
}

// Run takes dead letters away.
func (d *letterDropCmd) Run(ctx context.Context, c *cli, out stdio) error {
	t, err := d.target()
	if err != nil {
		return err
	}
	q := d.values()
	if d.All {
		q.Set("all", "true")
	}
	var done app.DeadLetterDrop
	err = errNobody
	if !d.Offline {
		err = t.send(ctx, http.MethodPost, "deadletters/drop", q, &done)
	}
	if errors.Is(err, errNobody) {
		var o app.RestOptions
		if o, err = t.rest(c, out, d.Offline); err == nil {
			done, err = app.DropDeadLetters(ctx, o, d.filter(), d.All)
		}
	}
	if err != nil {
		return err
	}
	return tell(out, d.JSON, done, fmt.Sprintf("%d dead letters dropped", done.Dropped))
}

// lettersText tells one letter per line.
func lettersText(list app.DeadLetterList) string {
	var b strings.Builder
	for _, l := range list.Letters {
		fmt.Fprintf(&b, "%s  %s  %s  %s  %s\n", l.At.Format(time.RFC3339), l.Namespace, l.ID, l.Op, l.Reason)
	}
	switch n := list.Total - len(list.Letters); {
	case list.Total == 0:
		b.WriteString("no dead letters")
	case n > 0:
		fmt.Fprintf(&b, "%d dead letters, %d of them not shown", list.Total, n)
	default:
		fmt.Fprintf(&b, "%d dead letters", list.Total)
	}
	return b.String()
}

// letterText tells all of some letters.
func letterText(all []app.DeadLetter) string {
	var b strings.Builder
	for _, l := range all {
		fmt.Fprintf(&b, "%s %s\n  %s at %s could not be written: %s\n", l.Namespace, l.ID, l.Op, l.ClusterTime.Format(time.RFC3339), l.Reason)
		if l.Error != "" {
			fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(l.Error, "\n", "\n  "))
		}
		fmt.Fprintf(&b, "  noted at %s, id in the index %s\n", l.At.Format(time.RFC3339), l.Key)
		switch {
		case string(l.Document) == "null":
			b.WriteString("  the document is gone from MongoDB: retry closes the letter\n")
		case l.Document != nil:
			fmt.Fprintf(&b, "  now: %s\n", l.Document)
		}
	}
	return b.String()
}
