package app

import (
	"context"
	"encoding/base64"
	"fmt"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/mongo"
	"sluice/internal/pipeline"
	"sluice/internal/search"
)

// besideFile is what a body holds beside the content of a file: its document.
const besideFile = 1 << 20

// openFiles prepares what attaches files, where the flow does.
func (f *flowRun) openFiles(ctx context.Context) error {
	x := &f.cfg.Files
	if !x.On() {
		return nil
	}
	if err := f.source.ExamineFiles(ctx, filesOf(x)); err != nil {
		return err
	}
	if x.PutPipeline {
		if err := f.client.PutAttachmentPipeline(ctx, x.Pipeline, x.Field); err != nil {
			return err
		}
	}
	f.files = f.source.Files(mongo.FilesOptions{
		Fits: filesOf(x), Field: x.Field, Pipeline: x.Pipeline, MaxSize: int64(x.MaxSize),
		Carries: carries(f.client.MaxContent(ctx)), Downloaders: x.Downloaders, Room: f.budget.Load() / 2,
	})
	return nil
}

// filesOf tells which collections hold files that are attached.
func filesOf(x *config.AttachFiles) func(flow.Namespace) bool {
	return func(ns flow.Namespace) bool { return x.Fits(ns.String()) }
}

// carries is the length of a file whose base64 just fits into a body; 0 where
// nothing is known of bodies.
func carries(body int64) int64 {
	if body <= besideFile {
		return 0
	}
	return int64(base64.StdEncoding.DecodedLen(int(body - besideFile)))
}

// attacher is what the pump attaches files by; nil for none.
func (f *flowRun) attacher() pipeline.Attacher {
	if f.files == nil {
		return nil
	}
	return f.files
}

// queueBudget is what is left of the flow's share of the memory for its queues:
// half of it is for files, where there are any (rule S9).
func (f *flowRun) queueBudget() int64 {
	if f.files == nil {
		return f.budget.Load()
	}
	return f.budget.Load() - f.budget.Load()/2
}

// filesShape is what of the configuration shapes the document of a file.
func filesShape(cfg *config.Flow, ns flow.Namespace) []string {
	x := &cfg.Files
	if !x.Fits(ns.String()) {
		return nil
	}
	return []string{x.Pipeline, x.Field, fmt.Sprint(int64(x.MaxSize))}
}

// files looks at what the files of a flow need.
func (d *doctor) files(ctx context.Context, run *flowRun, all []mongo.Collection, client *search.Client) {
	x := &run.cfg.Files
	if !x.On() {
		return
	}
	if d.mongo != nil {
		d.note(d.mongo.Files(ctx, run.cfg.Name, run.mongoOptions(), all, filesOf(x)))
	}
	d.note(client.VisitAttachments(ctx, x.Pipeline, x.Field, x.PutPipeline))
}
