package testkit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// asNobody: Elasticsearch refuses to run as root. OpenSearch asks as well, but
// without the native part of JNA it can't tell.
func (s *Search) asNobody() bool {
	return s.dist.product == Elasticsearch && s.engine.image == "" && os.Getuid() == 0
}

// jvmFlags are the flags of the Java machine, for both products.
func (s *Search) jvmFlags() []string {
	heap := strconv.Itoa(s.opts.HeapMB) + "m"
	flags := []string{
		"-Xms" + heap, "-Xmx" + heap, "-XX:MaxDirectMemorySize=" + strconv.Itoa(max(256, s.opts.HeapMB/2)) + "m",
		"-Djava.io.tmpdir=" + s.path("tmp"), "-Dfile.encoding=UTF-8", "-XX:-OmitStackTraceInFastThrow",
		"-Djna.tmpdir=" + s.path("tmp"), "-Djna.nosys=true",
		"-Dio.netty.noUnsafe=true", "-Dio.netty.noKeySetOptimization=true", "-Dio.netty.recycler.maxCapacityPerThread=0",
		"-Dio.netty.allocator.numDirectArenas=0", "-Dlog4j.shutdownHookEnabled=false", "-Dlog4j2.disable.jmx=true",
	}
	switch {
	case !s.opts.FullJIT:
		return append(flags, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
	case s.engine.java.major >= 21:
		return append(flags, "--add-modules=jdk.incubator.vector", "-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1")
	}
	return flags
}

// command says how to run the engine.
func (s *Search) command() command {
	c := command{dir: s.dir, log: s.logFile(), asNobody: s.asNobody()}
	switch {
	case s.engine.image != "":
		return s.container(c)
	case s.dist.product == OpenSearch:
		return s.openSearch(c)
	}
	c.path = filepath.Join(s.engine.home, "bin", "elasticsearch")
	c.env = []string{"ES_PATH_CONF=" + s.path("config"), "ES_JAVA_HOME=" + s.engine.java.home, "ES_TMPDIR=" + s.path("tmp"), "HOME=" + s.dir}
	return c
}

// openSearch runs the main class: the start script's helpers would cost two
// more Java machines. The agent that confines plug-ins is on the class path but
// not switched on: it doubles the time of a start, and rules out class archives.
func (s *Search) openSearch(c command) command {
	home := s.engine.home
	c.path = s.engine.java.binary()
	c.args = append(s.jvmFlags(), "-Djna.nounpack=true", "-Xshare:auto")
	if s.dist.assembled() && s.engine.java.major >= 17 {
		c.args = append(c.args, "-Djava.security.manager=allow") // 2.x has one of its own
	}
	if !s.opts.FullJIT {
		c.args = append(c.args, s.archiveFlag())
	}
	c.args = append(c.args,
		"-Dopensearch.path.home="+home, "-Dopensearch.path.conf="+s.path("config"),
		"-Dopensearch.distribution.type=zip", "-Dopensearch.bundled_jdk=false",
		"-cp", filepath.Join(home, "lib", "*")+string(os.PathListSeparator)+filepath.Join(home, "agent", "*"),
		"org.opensearch.bootstrap.OpenSearch")
	return c
}

// archiveFlag uses the class archive of the cache, or has one written at the
// first clean end.
func (s *Search) archiveFlag() string {
	if _, err := os.Stat(s.archive()); err == nil {
		return "-XX:SharedArchiveFile=" + s.archive()
	}
	return "-XX:ArchiveClassesAtExit=" + s.path("classes.jsa")
}

func (s *Search) container(c command) command {
	settings := map[string]string{
		"discovery.type": "single-node", "http.port": strconv.Itoa(s.port.number), "transport.port": "0",
		"network.host": "127.0.0.1", "path.data": s.path("data"),
		"cluster.routing.allocation.disk.threshold_enabled": strconv.FormatBool(s.opts.DiskThreshold),
	}
	heap := fmt.Sprintf("-Xms%dm -Xmx%dm", s.opts.HeapMB, s.opts.HeapMB)
	if s.dist.product == OpenSearch {
		settings["DISABLE_SECURITY_PLUGIN"], settings["DISABLE_INSTALL_DEMO_CONFIG"], settings["OPENSEARCH_JAVA_OPTS"] = "true", "true", heap
	} else {
		settings["xpack.security.enabled"], settings["ES_JAVA_OPTS"] = "false", heap
	}
	if s.opts.MaxContentLength != "" {
		settings["http.max_content_length"] = s.opts.MaxContentLength
	}
	return inDocker(c, fmt.Sprintf("sluice-testkit-%d-%d", os.Getpid(), s.port.number), s.engine.image, settings, []string{s.dir}, nil)
}

// archive is the class archive in the cache, which takes a third off the time
// of a start. One that doesn't fit the Java that reads it is ignored by it.
func (s *Search) archive() string {
	name := fmt.Sprintf("%s-%s.jsa", s.dist.folder(), filepath.Base(s.engine.java.home))
	return filepath.Join(filepath.Dir(s.engine.home), name)
}

// keepArchive moves the archive that a first clean end has written into the
// cache, whole: others may be reading it there.
func (s *Search) keepArchive() error {
	from := s.path("classes.jsa")
	b, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.archive()), "classes.tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return os.Rename(f.Name(), s.archive())
}
