package testkit

import (
	"errors"
	"os"
	"strconv"
)

// MongoOptions say which MongoDB a test wants. The zero value is a replica set
// of one node without users.
type MongoOptions struct {
	// Nodes is 1 (also as 0) or 3.
	Nodes int
	// OplogMB is the size of the oplog in MB, 990 and above as the server
	// takes it, or less; 0 is 1024.
	OplogMB int
	// SyncDelay is the time between checkpoints in seconds; 0 is the server's
	// minute. A small oplog rolls over only after a checkpoint.
	SyncDelay int
	// Auth turns users on; URI then logs in as root.
	Auth bool
	// FailPoints allows configureFailPoint.
	FailPoints bool
	// Standalone: no replica set, so no change streams and no transactions.
	Standalone bool
	// CacheGB is the storage cache of each node; 0 is 0.25.
	CacheGB float64
	// ExtraArgs are more arguments of mongod.
	ExtraArgs []string
	// Dir is a folder without data that gets data and logs and is not removed
	// by Stop; empty is a temporary one that is.
	Dir string
	// Own: a server of our own in any case, not the one of
	// SLUICE_TEST_MONGODB_URI; for tests that kill, restart or fill it.
	Own bool
}

// plain tells whether any server will do.
func (o MongoOptions) plain() bool {
	return o.Nodes <= 1 && o.OplogMB == 0 && o.SyncDelay == 0 && !o.Auth && !o.FailPoints &&
		!o.Standalone && o.CacheGB == 0 && len(o.ExtraArgs) == 0 && o.Dir == "" && !o.Own
}

func (o MongoOptions) withDefaults() (MongoOptions, error) {
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.Nodes != 1 && o.Nodes != 3 {
		return o, errors.New("Nodes must be 1 or 3")
	}
	if o.Standalone && o.Nodes != 1 {
		return o, errors.New("a standalone server has one node")
	}
	if o.OplogMB == 0 {
		o.OplogMB = 1024
	}
	if o.CacheGB == 0 {
		o.CacheGB = 0.25
	}
	return o, nil
}

// args are those of one node.
func (o MongoOptions) args(n *node, keyFile string) []string {
	args := []string{
		"--dbpath", n.data, "--port", strconv.Itoa(n.port.number), "--bind_ip", "127.0.0.1", "--nounixsocket",
		"--wiredTigerCacheSizeGB", strconv.FormatFloat(o.CacheGB, 'f', -1, 64),
		"--setParameter", "diagnosticDataCollectionEnabled=false",
		"--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100",
		// A quiet server writes a no-op every 10 s, and the end of a snapshot
		// waits for one: tests need not.
		"--setParameter", "periodicNoopIntervalSecs=1",
	}
	if !o.Standalone {
		args = append(args, "--replSet", replicaSet, "--oplogSize", strconv.Itoa(o.OplogMB))
	}
	if o.SyncDelay > 0 {
		args = append(args, "--syncdelay", strconv.Itoa(o.SyncDelay))
	}
	if keyFile != "" && !o.Standalone {
		args = append(args, "--keyFile", keyFile)
	} else if o.Auth {
		args = append(args, "--auth")
	}
	if o.FailPoints {
		args = append(args, "--setParameter", "enableTestCommands=1")
	}
	return append(args, o.ExtraArgs...)
}

// externalMongo is the server that the environment offers.
func externalMongo() string { return os.Getenv("SLUICE_TEST_MONGODB_URI") }
