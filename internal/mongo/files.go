package mongo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sync/errgroup"

	"sluice/internal/flow"
	"sluice/internal/quota"
)

const (
	filesSuffix, chunksSuffix = ".files", ".chunks"
	// fileTries is how often a file is read whose chunks are not all there, with
	// filePause, and then four times as much, between.
	fileTries = 3
	filePause = 200 * time.Millisecond
	// fileCopies is how many times the text of a file is in memory on its way: as
	// it is read, in the body of the request, and compressed.
	fileCopies = 3
	// fileCost is what one file takes beside its text.
	fileCost = 64 << 10
)

// DefaultCarries is what engines take unless they are told otherwise, as base64 in a
// body of 100 MB.
const DefaultCarries = 74 << 20

// The reasons of files that are not attached as they should be.
const (
	reasonFileIncomplete = "file_incomplete"
	reasonFileTooLarge   = "file_too_large"
)

// FilesOptions say which documents are those of files in GridFS, and how their
// content is attached.
type FilesOptions struct {
	// Fits tells whether the files of a collection are attached.
	Fits func(flow.Namespace) bool
	// Field and Pipeline are those of flow.Attachment.
	Field, Pipeline string
	// MaxSize is the length above which a file is not read, and its content left out;
	// 0 is no bound.
	MaxSize int64
	// Carries is the length above which no request has room for the content: that is
	// a flow.Attachment.Flaw. 0 is DefaultCarries.
	Carries int64
	// Downloaders is how many files are read at one time.
	Downloaders int
	// Room is what the files on their way may take, in bytes; a larger file goes alone.
	Room int64
}

// IsFiles tells whether ns holds the documents of files in GridFS, by its name.
func IsFiles(ns flow.Namespace) bool {
	return strings.HasSuffix(ns.Coll, filesSuffix) && len(ns.Coll) > len(filesSuffix)
}

// chunksOf returns the collection with the content of the files of ns. A bucket
// may have dots in its name.
func chunksOf(ns flow.Namespace) flow.Namespace {
	return flow.Namespace{DB: ns.DB, Coll: strings.TrimSuffix(ns.Coll, filesSuffix) + chunksSuffix}
}

// Files attaches the content of files in GridFS to their documents. It may be
// used by several goroutines.
type Files struct {
	o       FilesOptions
	log     *slog.Logger
	metrics *Metrics
	room    *quota.Quota
	slots   *quota.Quota
	// page reads the next chunks of a file, exists looks whether its document is
	// still there; both not before a time.
	page   func(context.Context, chunkQuery) ([]bson.Raw, error)
	exists func(context.Context, flow.Namespace, bson.RawValue, bson.Timestamp) (bool, error)
}

// Files returns what attaches files that s reads.
func (s *Source) Files(o FilesOptions) *Files {
	if o.Carries <= 0 {
		o.Carries = DefaultCarries
	}
	return &Files{
		o: o, log: s.log, metrics: s.opts.Metrics, page: s.readChunks, exists: s.hasDocument,
		room: quota.New(max(1, o.Room)), slots: quota.New(int64(max(1, o.Downloaders))),
	}
}

// Resize changes FilesOptions.Room.
func (f *Files) Resize(room int64) { f.room.Resize(max(1, room)) }

// download is a file that is to be read.
type download struct {
	c      *flow.Change
	a      *flow.Attachment
	length int64
}

// Attach sets Attach of the changes that write the document of a file, from the
// first on, and returns how many changes it has seen to: at least one, and no more
// than there is room for, which it waits for only before it holds any. A file
// whose document is gone becomes OpSkip: its delete is coming. release lets go of
// the texts. After an error nothing is held, and it may be called again.
func (f *Files) Attach(ctx context.Context, changes []flow.Change) (n int, release func(), err error) {
	all, n, held, err := f.choose(ctx, changes)
	if err != nil {
		return 0, nil, err
	}
	release = func() {
		for _, d := range all {
			d.a.Text = nil // not by the change, whose place another may have by now
		}
		f.room.Release(held)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, f.o.Downloaders))
	for _, d := range all {
		g.Go(func() error {
			if err := f.slots.Acquire(gctx, 1); err != nil {
				return err
			}
			defer f.slots.Release(1)
			return f.read(gctx, d)
		})
	}
	if err := g.Wait(); err != nil {
		release()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, nil, err
	}
	return n, release, nil
}

// choose judges changes until there is no room for one, and returns the files to
// read with the room that they hold.
func (f *Files) choose(ctx context.Context, changes []flow.Change) (all []download, n int, held int64, err error) {
	most := f.room.Size() / 4 // the rest is for who else attaches
	var last *flow.Namespace
	fits := false
	for i := range changes {
		c := &changes[i]
		if last == nil || *last != c.NS {
			last, fits = &c.NS, IsFiles(c.NS) && f.o.Fits(c.NS)
		}
		if !fits || c.Op != flow.OpWrite || c.Doc == nil {
			n++
			continue
		}
		a, length := f.judge(ctx, c)
		if length > 0 {
			cost := fileCopies*int64(base64.StdEncoding.EncodedLen(int(length))) + fileCost
			if held > 0 {
				if held+cost > most || !f.room.TryAcquire(cost) {
					return all, n, held, nil
				}
			} else if err := f.room.Acquire(ctx, cost); err != nil {
				return nil, 0, 0, context.Cause(ctx)
			}
			held += cost
			all = append(all, download{c, a, length})
		}
		c.Attach = a
		n++
	}
	return all, n, held, nil
}

// judge decides by the document of a file what is attached; length is what is to
// be read, 0 for nothing.
func (f *Files) judge(ctx context.Context, c *flow.Change) (a *flow.Attachment, length int64) {
	a = &flow.Attachment{Field: f.o.Field, Pipeline: f.o.Pipeline}
	length, ok := fileNumber(c.Doc, "length")
	switch {
	case !ok || length < 0:
		f.metrics.file("incomplete", 0)
		a.Flaw = f.flaw(c, reasonFileIncomplete, errors.New("the document of the file has no length"))
	case f.o.MaxSize > 0 && length > f.o.MaxSize:
		f.metrics.file("over_max_size", 0)
		f.log.LogAttrs(ctx, slog.LevelDebug, "file is larger than files.max_size; its content is left out",
			slog.String(flow.LogNS, c.NS.String()), slog.Int64(flow.LogBytes, length))
	case length > f.o.Carries:
		f.metrics.file("too_large", 0)
		a.Flaw = f.flaw(c, reasonFileTooLarge, fmt.Errorf("it has %d bytes, and the search engine takes %d in one request", length, f.o.Carries))
	case length == 0:
		f.metrics.file("attached", 0)
	default:
		return a, length
	}
	return a, 0
}

func (f *Files) flaw(c *flow.Change, reason string, err error) *flow.Verdict {
	hint := "the document is in the index without its content; mend the file, and: sluice deadletter retry"
	if reason == reasonFileTooLarge {
		hint = "the document is in the index without its content: raise http.max_content_length of the engine, or set files.max_size, which leaves such files out without a dead letter"
	}
	return &flow.Verdict{Outcome: flow.DeadLetter, Reason: reason, Err: &flow.Error{
		Op: "attach the file of a document of", Object: c.NS.String(), Class: flow.Document, Err: err, Hint: hint,
	}}
}

// examineFiles is ExamineFiles for some collections.
func (s *Source) examineFiles(ctx context.Context, all []Collection, fits func(flow.Namespace) bool) error {
	for _, one := range all {
		if one.Refused != nil || !fits(one.NS) {
			continue
		}
		chunks := chunksOf(one.NS)
		cur, err := s.client.Database(chunks.DB).Collection(chunks.Coll).Indexes().List(ctx)
		var indexes []relatedIndex
		if err == nil {
			err = cur.All(ctx, &indexes)
		}
		if code, _ := codeOf(err); code == 26 || code == 13 || err == nil && len(indexes) == 0 {
			continue // no file yet; or whoever may not know it sees whether it can be read
		}
		if err != nil {
			return s.denied(fault("list indexes of", chunks.String(), err))
		}
		if !findsChunks(indexes) {
			return &flow.Error{
				Op: "prepare the files of", Object: one.NS.String(), Class: flow.Config,
				Err:  fmt.Errorf("%s has no index on files_id and n: each file would be a scan of all", chunks),
				Hint: fmt.Sprintf("create it: db.getSiblingDB(%q).getCollection(%q).createIndex({files_id: 1, n: 1}, {unique: true})", chunks.DB, chunks.Coll),
			}
		}
	}
	return nil
}

// ExamineFiles looks before the start for the index that finds the chunks of a
// file, in each bucket that fits and is there: without it each file would be a scan of
// its whole bucket. The error is of class Config, with the cure.
func (s *Source) ExamineFiles(ctx context.Context, fits func(flow.Namespace) bool) error {
	return s.examineFiles(ctx, s.Collections(), fits)
}

func findsChunks(indexes []relatedIndex) bool {
	for _, x := range indexes {
		if len(x.Key) > 1 && x.Key[0].Key == "files_id" && x.Key[1].Key == "n" && x.Partial == nil && !x.Hidden {
			return true
		}
	}
	return false
}
