package testkit

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// OpenSearch 2.x is published in parts only: the server with its libraries, and
// each module as a library without descriptor. This puts the parts we need into
// the layout of a distribution.

// assembled tells whether d is put together from its parts.
func (d distribution) assembled() bool { return d.sha256 == "" }

// module is a part of OpenSearch that is loaded by a class loader of its own.
type module struct {
	name, artifact, class string
	extends               string // a module whose classes it sees
	policy                string // what it may do under the security manager
}

// modules of OpenSearch 2.19.
func modules() []module {
	return []module{
		{name: "transport-netty4", artifact: "transport-netty4-client", class: "org.opensearch.transport.Netty4Plugin", policy: `
  permission java.io.FilePermission "/proc/sys/net/core/somaxconn", "read";
  permission java.net.SocketPermission "*", "accept,connect";
  permission java.lang.RuntimePermission "*", "setContextClassLoader";
  permission java.lang.RuntimePermission "getClassLoader";
  permission java.util.PropertyPermission "sun.nio.ch.bugLevel", "write";`},
		{name: "lang-painless", artifact: "lang-painless", class: "org.opensearch.painless.PainlessPlugin", policy: `
  permission java.lang.RuntimePermission "createClassLoader";
  permission java.lang.RuntimePermission "getClassLoader";`},
		{name: "reindex", artifact: "reindex-client", class: "org.opensearch.index.reindex.ReindexPlugin"},
		{name: "analysis-common", artifact: "analysis-common", class: "org.opensearch.analysis.common.CommonAnalysisPlugin", extends: "lang-painless"},
		{name: "mapper-extras", artifact: "mapper-extras-client", class: "org.opensearch.index.mapper.MapperExtrasPlugin"},
		{name: "parent-join", artifact: "parent-join-client", class: "org.opensearch.join.ParentJoinPlugin"},
		{name: "ingest-common", artifact: "ingest-common", class: "org.opensearch.ingest.common.IngestCommonPlugin", extends: "lang-painless"},
	}
}

// log4jCore is optional to the server's own description, and needed by it.
const log4jCore = "org.apache.logging.log4j:log4j-core:2.21.0"

// assemble fills dir with a distribution of OpenSearch d.
func assemble(ctx context.Context, d distribution, dir string) error {
	lib := filepath.Join(dir, "lib")
	for _, artifact := range []string{"org.opensearch:opensearch:" + d.version, log4jCore} {
		if err := fetchLibraries(ctx, artifact, lib); err != nil {
			return err
		}
	}
	for _, m := range modules() {
		if err := m.install(ctx, d, dir); err != nil {
			return fmt.Errorf("module %s: %w", m.name, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "plugins"), 0o755); err != nil {
		return err
	}
	return buildLoader(ctx, d, lib)
}

// install fetches the libraries of a module and describes it.
func (m module) install(ctx context.Context, d distribution, home string) error {
	dir := filepath.Join(home, "modules", m.name)
	if err := fetchLibraries(ctx, "org.opensearch.plugin:"+m.artifact+":"+d.version, dir); err != nil {
		return err
	}
	// A class may be there once only: what the server or the extended module has is theirs.
	for _, theirs := range []string{"lib", filepath.Join("modules", m.extends)} {
		if err := dropShared(dir, filepath.Join(home, theirs)); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("name=%s\ndescription=%s\nversion=%s\nopensearch.version=%s\njava.version=11\nclassname=%s\nextended.plugins=%s\nhas.native.controller=false\n",
		m.name, m.name, d.version, d.version, m.class, m.extends)
	if err := os.WriteFile(filepath.Join(dir, "plugin-descriptor.properties"), []byte(text), 0o644); err != nil || m.policy == "" {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "plugin-security.policy"), []byte("grant {"+m.policy+"\n};\n"), 0o644)
}

// dropShared removes from dir what has the name of a file in other.
func dropShared(dir, other string) error {
	entries, err := os.ReadDir(other)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// fetchLibraries puts an artifact ("group:name:version") and all that it needs
// at run time, but what without names ("group:name"), into dir. Maven checks what
// it fetches by checksum.
func fetchLibraries(ctx context.Context, artifact, dir string, without ...string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("no mvn on the PATH to fetch it with")
	}
	scratch, err := os.MkdirTemp("", "sluice-testkit-mvn-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	part := strings.Split(artifact, ":")
	exclusions := ""
	for _, one := range without {
		group, name, _ := strings.Cut(one, ":")
		exclusions += "<exclusion><groupId>" + group + "</groupId><artifactId>" + name + "</artifactId></exclusion>"
	}
	pom := fmt.Sprintf(`<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>parts</groupId><artifactId>parts</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version><exclusions>%s</exclusions></dependency></dependencies></project>`,
		part[0], part[1], part[2], exclusions)
	if err := os.WriteFile(filepath.Join(scratch, "pom.xml"), []byte(pom), 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "-C", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+dir)
	cmd.Dir = scratch
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mvn: %w: %s", err, lastLine(out))
	}
	return nil
}

// loaderSource is the one class of the server that is published nowhere: it
// looks a module's classes up in those modules that it extends.
const loaderSource = `package org.opensearch.plugins;

import java.security.AccessController;
import java.security.PrivilegedAction;
import java.util.List;

public class ExtendedPluginsClassLoader extends ClassLoader {
    private final List<ClassLoader> extended;

    private ExtendedPluginsClassLoader(ClassLoader parent, List<ClassLoader> extended) {
        super(parent);
        this.extended = List.copyOf(extended);
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
        for (ClassLoader loader : extended) {
            try {
                return loader.loadClass(name);
            } catch (ClassNotFoundException e) {
                continue;
            }
        }
        throw new ClassNotFoundException(name);
    }

    public static ExtendedPluginsClassLoader create(ClassLoader parent, List<ClassLoader> extended) {
        PrivilegedAction<ExtendedPluginsClassLoader> make = () -> new ExtendedPluginsClassLoader(parent, extended);
        return AccessController.doPrivileged(make);
    }
}
`

// buildLoader compiles loaderSource into a library of the name by which the
// server's security policy knows it.
func buildLoader(ctx context.Context, d distribution, lib string) (err error) {
	jvm, err := findJava(ctx, d.minJava, d.maxJava)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "sluice-testkit-javac-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	source := filepath.Join(scratch, "ExtendedPluginsClassLoader.java")
	if err := os.WriteFile(source, []byte(loaderSource), 0o644); err != nil {
		return err
	}
	javac := exec.CommandContext(ctx, filepath.Join(jvm.home, "bin", "javac"), "-nowarn", "--release", "11", "-d", scratch, source)
	if out, err := javac.CombinedOutput(); err != nil {
		return fmt.Errorf("javac of %s (a JDK is needed): %w: %s", jvm.home, err, lastLine(out))
	}
	const class = "org/opensearch/plugins/ExtendedPluginsClassLoader.class"
	b, err := os.ReadFile(filepath.Join(scratch, filepath.FromSlash(class)))
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(lib, "opensearch-plugin-classloader-"+d.version+".jar"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := zip.NewWriter(f)
	w, err := z.Create(class)
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	return z.Close()
}
