// Command s3 is the S3 server of the tests: Versity's gateway over a folder, on
// one loopback address. It is a module of its own, so that its hundreds of
// dependencies never reach the product. internal/testkit builds it into its
// cache and starts it; it ends by SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "s3:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. The folder gets data, versions, meta and iam.
// The keys come from the environment S3_ACCESS_KEY and S3_SECRET_KEY, those of
// users without rights from S3_USERS ("name:secret name:secret").
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("s3", flag.ContinueOnError)
	addr := flags.String("addr", "", "where to listen: 127.0.0.1:7070")
	dir := flags.String("dir", "", "the folder of the data")
	region := flags.String("region", "us-east-1", "the region to answer for")
	cert := flags.String("cert", "", "certificate file, for TLS")
	key := flags.String("key", "", "key file of the certificate")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := filepath.Abs(*dir)
	if err != nil || *dir == "" {
		return fmt.Errorf("-dir: a folder is wanted (%w)", err)
	}
	part := func(name string) string { return filepath.Join(root, name) }
	for _, name := range []string{"data", "versions", "meta", "iam"} {
		if err := os.MkdirAll(part(name), 0o755); err != nil {
			return err
		}
	}
	cfg := &embedgw.Config{
		RootUserAccess: os.Getenv("S3_ACCESS_KEY"), RootUserSecret: os.Getenv("S3_SECRET_KEY"),
		Region: *region, Ports: []string{*addr}, CertFile: *cert, KeyFile: *key,
		MaxConnections: 4096, MaxRequests: 1024, MultipartMaxParts: 10000,
		KeepAlive: true, Quiet: true, HealthPath: "/health", IAMDir: part("iam"), IAMCacheDisable: true,
	}
	if err := addUsers(cfg.IamOpts(), strings.Fields(os.Getenv("S3_USERS"))); err != nil {
		return err
	}
	// Not every file system has extended attributes, so the metadata lies beside.
	side, err := meta.NewSideCar(part("meta"))
	if err != nil {
		return err
	}
	be, err := posix.New(part("data"), side, posix.PosixOpts{SideCarDir: part("meta"), VersioningDir: part("versions")})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, be, cfg)
}

// addUsers makes accounts that may do what a bucket's policy lets them.
func addUsers(o *auth.Opts, users []string) error {
	iam, err := auth.New(o)
	if err != nil {
		return err
	}
	for _, u := range users {
		name, secret, ok := strings.Cut(u, ":")
		if !ok {
			return errors.New("S3_USERS: a name and a secret are wanted, with a colon between")
		}
		err := iam.CreateAccount(auth.Account{Access: name, Secret: secret, Role: auth.RoleUser})
		if err != nil && !errors.Is(err, auth.ErrUserExists) {
			return err
		}
	}
	return iam.Shutdown()
}
