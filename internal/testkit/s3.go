package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sluice/internal/flow"
)

// S3 is a running S3 server with one bucket, or one that the environment
// offers. Kill, Stop, Wipe and Restart must not meet; the rest may be called any
// time.
type S3 struct {
	opts      S3Options
	endpoint  string
	accessKey string
	secretKey string
	bucket    string
	region    string
	origin    string
	binary    string
	cert, key string
	dir       string
	port      port
	process   *process // nil: external
	stop      sync.Once
	stopErr   error
}

// StartS3 starts an S3 server, makes its bucket, and waits until it serves. ctx
// bounds the start alone; the server lives until Stop, or the end of this
// process. The first start on a machine builds the server.
func StartS3(ctx context.Context, o S3Options) (*S3, error) {
	if os.Getenv("SLUICE_TEST_S3_ENDPOINT") != "" && o.plain() {
		s, err := externalS3()
		if err == nil {
			running.add(s)
		}
		return s, err
	}
	binary, origin, err := findS3(ctx)
	if err != nil {
		return nil, err
	}
	for range 5 {
		s := &S3{
			opts: o, binary: binary, origin: origin, region: s3Region, bucket: s3Bucket,
			accessKey: s3AccessKey, secretKey: s3SecretKey,
		}
		if err = s.start(ctx); err == nil {
			running.add(s)
			return s, nil
		}
		log := s.LogTail()
		_ = s.Stop()
		if !strings.Contains(strings.ToLower(log), "address already in use") {
			return nil, &flow.Error{
				Op: "start", Object: s3Version, Class: flow.Fatal,
				Err: fmt.Errorf("%w\nend of its log (%s):\n%s", err, s.logFile(), log), Hint: s3Hint,
			}
		}
	}
	return nil, err
}

func (s *S3) start(ctx context.Context) (err error) {
	if s.port, err = reservePort(ctx); err != nil {
		return err
	}
	if s.dir, err = newWorkDir("", "s3"); err != nil {
		return err
	}
	for _, name := range []string{"files", logsDir} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o755); err != nil {
			return err
		}
	}
	s.endpoint = "http://" + s.port.addr()
	if s.opts.TLS {
		s.endpoint = "https://" + s.port.addr()
		if s.cert, s.key, err = writeCertificate(ctx, s.dir); err != nil {
			return err
		}
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	return s.CreateBucket(ctx, s.bucket, BucketOptions{})
}

// launch starts the process and waits until it serves.
func (s *S3) launch(ctx context.Context) (err error) {
	args := []string{"-addr", s.port.addr(), "-dir", filepath.Join(s.dir, "files"), "-region", s.region}
	if s.opts.TLS {
		args = append(args, "-cert", s.cert, "-key", s.key)
	}
	env := []string{"S3_ACCESS_KEY=" + s.accessKey, "S3_SECRET_KEY=" + s.secretKey}
	var users []string
	for _, u := range s.opts.Users {
		users = append(users, u+":"+s3UserSecret)
	}
	env = append(env, "S3_USERS="+strings.Join(users, " "))
	if s.process, err = run(command{path: s.binary, args: args, env: env, dir: s.dir, log: s.logFile()}); err != nil {
		return err
	}
	return s.process.await(ctx, func(ctx context.Context) error { return canDial(ctx, s.port.addr()) })
}

// Endpoint is the base URL, such as "http://127.0.0.1:21234", without a slash
// at the end; buckets are in the path.
func (s *S3) Endpoint() string { return s.endpoint }

// AccessKey and SecretKey are those of an account that may do everything.
func (s *S3) AccessKey() string { return s.accessKey }

// SecretKey belongs to AccessKey.
func (s *S3) SecretKey() string { return s.secretKey }

// UserSecret is the secret of all accounts of S3Options.Users.
func (s *S3) UserSecret() string { return s3UserSecret }

// Bucket is a bucket that is there; tests share it, each below a prefix of its
// own (UniqueName).
func (s *S3) Bucket() string { return s.bucket }

// Region is what the server answers for.
func (s *S3) Region() string { return s.region }

// CAFile is the certificate of the server's authority, empty without TLS.
func (s *S3) CAFile() string { return s.cert }

// String says what it is and where it comes from, for the table of what ran.
func (s *S3) String() string {
	if s.process == nil {
		return "S3 (from " + s.origin + ")"
	}
	return s3Version + " (from " + s.origin + ")"
}

// ObjectFile is the file that holds an object's bytes, for tests that damage
// what is stored. It is empty for a server that the environment offers.
func (s *S3) ObjectFile(bucket, key string) string {
	if s.process == nil {
		return ""
	}
	return filepath.Join(s.dir, "files", "data", bucket, filepath.FromSlash(key))
}

// Kill ends the server at once, as kill -9 does, and waits for it.
func (s *S3) Kill() error {
	if s.process == nil {
		return errExternal
	}
	s.process.Kill()
	return nil
}

// Restart starts the server again at the same port with the same data, ending
// it cleanly first if it still runs, and waits until it serves.
func (s *S3) Restart() error {
	if s.process == nil {
		return errExternal
	}
	if err := s.process.Stop(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("restart: %w\n%s", err, s.LogTail())
	}
	return nil
}

// Wipe loses all buckets and accounts' data, as a lost disk does; the server is
// back at the same port with its one empty bucket.
func (s *S3) Wipe(ctx context.Context) error {
	if err := s.Kill(); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(s.dir, "files")), s.Restart()); err != nil {
		return err
	}
	return s.CreateBucket(ctx, s.bucket, BucketOptions{})
}

// LogTail returns the end of the server's log.
func (s *S3) LogTail() string { return tail(s.logFile(), 6000) }

// PID is the process of the server, 0 for one that the environment offers.
func (s *S3) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.PID()
}

// Stop ends the server and waits for it; the data go with it. More calls do nothing.
func (s *S3) Stop() error {
	s.stop.Do(func() { s.stopErr = s.shutdown() })
	return s.stopErr
}

func (s *S3) shutdown() error {
	running.remove(s)
	var errs []error
	if s.process != nil {
		errs = append(errs, s.process.Stop())
	}
	if s.port.release != nil {
		s.port.release()
	}
	if s.dir != "" {
		errs = append(errs, dropWorkDir(s.dir))
	}
	return errors.Join(errs...)
}

func (s *S3) logFile() string { return filepath.Join(s.dir, logsDir, "s3.log") }

func (s *S3) logDir() string { return s.dir }
