package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strconv"
	"time"

	"sluice/internal/archive"
	"sluice/internal/archive/catalogue"
	"sluice/internal/cold"
	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/governor"
	"sluice/internal/mongo/archivedb"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// archiveTool is what manifests tell of who wrote them.
func archiveTool() string { return "sluice " + Version }

// archiveOwner names this process in leases, unlike any other.
func archiveOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var b [4]byte
	_, _ = rand.Read(b[:])
	return host + "/" + strconv.Itoa(os.Getpid()) + "/" + hex.EncodeToString(b[:])
}

// archiveRule is a rule of the configuration on one collection.
func archiveRule(a *config.Archive, ns flow.Namespace) archive.Rule {
	r := archive.Rule{
		Name: a.Name, NS: ns, Field: a.Field, Kind: cold.AgeKind(a.Kind), Cutoff: a.Cutoff,
		Filter: a.Filter.BSON, FilterText: a.Filter.Text(),
		Delete: a.Delete, WithoutTransactions: a.Compare == config.CompareDocument,
		Sharded: a.Sharded, CollScan: a.CollScan, AllowMixed: a.MixedTypes == config.MixedSkip, Soak: a.Soak, Shadow: a.Shadow,
		BatchDocs: a.Batch.Docs, BatchBytes: int(a.Batch.Bytes), PackBytes: int64(a.PackSize), PackWait: a.PackWait,
		Parallel: a.Parallel, MinAge: a.MinAge, MaxShare: a.MaxShare,
		Codec: pack.Codec(a.Format), StorageClass: a.StorageClass,
	}
	switch {
	case a.Floor.None:
		r.Floor = &time.Time{}
	case !a.Floor.At.IsZero():
		at := a.Floor.At
		r.Floor = &at
	}
	return r
}

// shelfOptions are those of the shelf that a rule writes to.
func (o *ArchiveOptions) shelfOptions(a *config.Archive, owner string) catalogue.Options {
	return catalogue.Options{
		Name: objstore.Name(a.To),
		Put: objstore.PutOptions{
			StorageClass: a.StorageClass, SSE: string(a.SSE), KMSKey: a.KMSKey, Tags: a.Tags, LockMode: string(a.ObjectLock.Mode),
		},
		LockFor: time.Duration(a.ObjectLock.Days) * 24 * time.Hour,
		Codec:   pack.Codec(a.Format), Owner: owner, Tool: archiveTool(), TempDir: o.Config.Spool.Path, Logger: o.logger(),
	}
}

// governorOptions are those of a rule.
func (o *ArchiveOptions) governorOptions(l config.RuleLimits, db *archivedb.DB) governor.Options {
	out := governorLimits(o.Config.Governor)
	out.Load = func(ctx context.Context) (governor.Load, error) {
		return loadOf(ctx, db, o.Config.Governor.MinOplogWindow)
	}
	out.DocsPerSecond, out.FloorDocs = l.DocsPerSecond, l.MinDocsPerSecond
	out.BytesPerSecond, out.FloorBytes = float64(l.BytesPerSecond), float64(l.MinBytesPerSecond)
	out.Logger = o.logger()
	return out
}

// loadOf is how the database is doing. A window of the oplog that is not asked
// for, or that is short because the oplog is young, is none.
func loadOf(ctx context.Context, db *archivedb.DB, least time.Duration) (governor.Load, error) {
	l, err := db.Load(ctx)
	if err != nil || !l.WindowKnown || l.Window >= least && least > 0 {
		return l, err
	}
	full := false
	if least > 0 {
		full, err = db.OplogFull(ctx)
	}
	l.WindowKnown = full
	return l, err
}
