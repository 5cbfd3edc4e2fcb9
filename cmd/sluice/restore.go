package main

import (
	"context"
	"errors"

	"sluice/internal/app"
	"sluice/internal/flow"
)

type restoreCmd struct {
	archiveFlags
	jsonFlag
	which
	ToNamespace string   `help:"Where to: db.collection, or db for another database; without it, where they were." placeholder:"NS"`
	OnConflict  string   `enum:"keep-live,replace-older,fail" default:"keep-live" help:"A document with the same _id is live: keep-live, replace-older (only if the live one is an archived version), or fail."`
	Outcome     []string `help:"Documents with this outcome (deleted, changed, gone, unknown, live), not those that the archive has deleted. May be repeated." placeholder:"OUTCOME"`
	All         bool     `help:"Restore everything that the rules have archived."`
	DryRun      bool     `help:"Tell what would come back."`
	Thaw        bool     `help:"Ask for packs in a cold storage class to be made readable; come back when they are."`
	Limit       int      `help:"So many documents, at most." placeholder:"N"`
	Rate        float64  `help:"Documents per second, at most; 0 is as fast as it goes." placeholder:"N"`
	foreignFlags
	skipFlag
}

// Run brings documents back.
func (r *restoreCmd) Run(ctx context.Context, c *cli, out stdio) error {
	if r.FromGochive != "" {
		return r.foreign(ctx, c, out)
	}
	if err := r.needsForeign(r.SkipDamaged); err != nil {
		return err
	}
	if !r.All && !r.any() && len(r.Rule) == 0 {
		return &flow.Error{
			Op: "restore", Class: flow.Config, Err: errors.New("nothing is chosen"),
			Hint: "choose by --rule, --namespace, --pack, --id, --query, --from and --to, or say --all",
		}
	}
	o, err := r.load(c, out)
	if err != nil {
		return err
	}
	chosen, err := r.choose()
	if err != nil {
		return err
	}
	done, err := app.Restore(ctx, o, app.RestoreOptions{
		ArchiveWhich: chosen, Into: r.ToNamespace, OnConflict: r.OnConflict, Outcomes: r.Outcome,
		DryRun: r.DryRun, Thaw: r.Thaw, Limit: r.Limit, Rate: r.Rate,
	})
	if err != nil && done.Found == 0 {
		return err
	}
	if terr := tell(out, r.JSON, done, restoredText(done)); terr != nil || err != nil {
		return errors.Join(err, terr)
	}
	if done.Unreturned() > 0 {
		return errDiffers
	}
	return nil
}
