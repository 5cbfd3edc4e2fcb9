package testkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sluice/internal/flow"
)

// Search is a running search engine of one node, or one that the environment
// offers. Kill, Stop and Restart must not meet; the rest may be called any time.
type Search struct {
	opts    SearchOptions
	engine  engine
	dist    distribution
	url     string // external only
	version string
	dir     string
	port    port
	process *process
	stop    sync.Once
	stopErr error
}

// StartSearch starts a search engine and waits until it serves. ctx bounds the
// start alone; the engine lives until Stop, or the end of this process. The
// first start on a machine fetches 160 MB.
func StartSearch(ctx context.Context, o SearchOptions) (*Search, error) {
	if url := externalSearch(); url != "" && o.plain() {
		s := &Search{url: url, engine: engine{origin: "SLUICE_TEST_SEARCH_URL"}}
		if err := s.readVersion(ctx); err != nil {
			return nil, err
		}
		running.add(s)
		return s, nil
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, noEngine(err)
	}
	eng, err := findEngine(ctx, o)
	if err != nil {
		return nil, err
	}
	for range 5 {
		s := &Search{opts: o, engine: eng, dist: eng.dist}
		if err = s.start(ctx); err == nil {
			running.add(s)
			return s, nil
		}
		log := s.LogTail()
		_ = s.Stop()
		if !bindFailed(log) {
			return nil, &flow.Error{
				Op: "start", Object: eng.dist.String(), Class: flow.Fatal,
				Err: fmt.Errorf("%w\nend of its log (%s):\n%s", err, s.logFile(), log), Hint: searchHint,
			}
		}
	}
	return nil, err
}

func (s *Search) start(ctx context.Context) (err error) {
	if s.port, err = reservePort(ctx); err != nil {
		return err
	}
	if s.dir, err = newWorkDir("", s.dist.product); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	return s.readVersion(ctx)
}

// prepare makes the folders and the configuration.
func (s *Search) prepare() error {
	for _, name := range []string{"data", logsDir, "tmp", "config"} {
		if err := os.MkdirAll(s.path(name), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		s.dist.product + ".yml": s.opts.config(s),
		"log4j2.properties":     consoleLog,
		"jvm.options":           strings.Join(s.jvmFlags(), "\n") + "\n",
	}
	if x := s.opts.Secure; x != nil {
		more, err := x.files(s.dist.product)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(s.path("config"), securityPlugin), 0o755); err != nil {
			return err
		}
		maps.Copy(files, more)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.path("config"), name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if !s.asNobody() {
		return nil
	}
	return filepath.WalkDir(s.dir, func(p string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chmod(s.dir, 0o755), os.Chown(p, nobody, nobody))
	})
}

// consoleLog is the engine's logging: all to stdout, which is the log file.
const consoleLog = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`

// launch starts the process and waits until it serves.
func (s *Search) launch(ctx context.Context) (err error) {
	if s.process, err = run(s.command()); err != nil {
		return err
	}
	return s.process.await(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		if err := canDial(ctx, s.port.addr()); err != nil {
			return err
		}
		status, _, err := s.Ask(ctx, http.MethodGet, "/_cluster/health?wait_for_status=yellow&timeout=10s", http.NoBody)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("health: status %d", status)
		}
		return err
	})
}

// get returns the body of a 200 answer. It keeps no connection.
func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	return body, err
}

// readVersion asks the engine; the stripped Elasticsearch does not say.
func (s *Search) readVersion(ctx context.Context) error {
	if s.url == "" {
		s.version = map[string]string{OpenSearch: "OpenSearch ", Elasticsearch: "Elasticsearch "}[s.dist.product] + s.dist.version
		return nil
	}
	body, err := get(ctx, s.url+"/")
	if err != nil {
		return s.readNodeVersion(ctx)
	}
	var info struct {
		Version struct{ Distribution, Number string }
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return err
	}
	s.version = "Elasticsearch " + info.Version.Number
	if info.Version.Distribution == OpenSearch {
		s.version = "OpenSearch " + info.Version.Number
	}
	return nil
}

// readNodeVersion is for an Elasticsearch that does not serve GET /.
func (s *Search) readNodeVersion(ctx context.Context) error {
	body, err := get(ctx, s.url+"/_nodes/_local?filter_path=nodes.*.version")
	if err != nil {
		return &flow.Error{Op: "use", Object: "SLUICE_TEST_SEARCH_URL", Class: flow.Config, Err: err, Hint: searchHint}
	}
	var info struct {
		Nodes map[string]struct{ Version string }
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return err
	}
	for _, n := range info.Nodes {
		s.version = "Elasticsearch " + n.Version
	}
	return nil
}

// URL is the base, such as "http://127.0.0.1:21234", without a slash at the end.
func (s *Search) URL() string {
	if s.url != "" {
		return s.url
	}
	if s.opts.Secure != nil {
		return "https://" + s.port.addr()
	}
	return "http://" + s.port.addr()
}

// Version is product and version, such as "OpenSearch 3.6.0".
func (s *Search) Version() string { return s.version }

// String says what it is and where it comes from, for the table of what ran.
func (s *Search) String() string { return s.version + " (from " + s.engine.origin + ")" }

// Kill ends the engine at once, as kill -9 does, and waits for it.
func (s *Search) Kill() error {
	if s.url != "" {
		return errExternal
	}
	s.process.Kill()
	return nil
}

// Restart starts the engine again at the same port with the same data, ending
// it cleanly first if it still runs, and waits until it serves.
func (s *Search) Restart() error {
	if s.url != "" {
		return errExternal
	}
	if err := errors.Join(s.process.Stop(), s.keepArchive()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("restart: %w\n%s", err, s.LogTail())
	}
	return nil
}

// LogTail returns the end of the engine's log.
func (s *Search) LogTail() string { return tail(s.logFile(), 6000) }

// Stop ends the engine and waits for it; the data go with it. More calls do nothing.
func (s *Search) Stop() error {
	s.stop.Do(func() { s.stopErr = s.shutdown() })
	return s.stopErr
}

func (s *Search) shutdown() error {
	running.remove(s)
	if s.url != "" {
		return nil
	}
	var errs []error
	if s.process != nil {
		errs = append(errs, s.process.Stop(), s.keepArchive())
	}
	if s.port.release != nil {
		s.port.release()
	}
	if s.dir != "" {
		errs = append(errs, dropWorkDir(s.dir))
	}
	return errors.Join(errs...)
}

func (s *Search) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Search) logFile() string { return filepath.Join(s.dir, logsDir, s.dist.product+".log") }

func (s *Search) logDir() string { return s.dir }

// PID is the process of the engine, 0 for one that the environment offers or
// that runs in a container.
func (s *Search) PID() int {
	if s.process == nil || s.engine.image != "" {
		return 0
	}
	return s.process.PID()
}
