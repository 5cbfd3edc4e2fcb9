package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "sluice"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath, Dir, Name              string
	GoFiles, TestGoFiles, XTestGoFiles []string
	IgnoredGoFiles                     []string
	Imports, TestImports, XTestImports []string
}

// name is the import path below the module: "internal/flow".
func (p pkg) name() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

// source is one parsed file.
type source struct {
	pkg  pkg
	path string
	test bool
	fset *token.FileSet
	ast  *ast.File
}

func (s source) line(p token.Pos) int { return s.fset.Position(p).Line }

// imports tells whether the file imports path.
func (s source) imports(path string) bool {
	for _, i := range s.ast.Imports {
		if strings.Trim(i.Path.Value, `"`) == path {
			return true
		}
	}
	return false
}

// packages lists all packages of the module, integration tests included.
var packages = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e", "-json", "-tags", "integration", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(stderr.String()))
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

// sources parses all files of the module.
var sources = sync.OnceValues(func() ([]source, error) {
	pkgs, err := packages()
	if err != nil {
		return nil, err
	}
	var all []source
	for _, p := range pkgs {
		fset := token.NewFileSet()
		for _, files := range [][]string{p.GoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles} {
			for _, f := range files {
				tree, err := parser.ParseFile(fset, filepath.Join(p.Dir, f), nil, parser.ParseComments)
				if err != nil {
					return nil, err
				}
				all = append(all, source{p, p.name() + "/" + f, strings.HasSuffix(f, "_test.go"), fset, tree})
			}
		}
	}
	return all, nil
})

func mustPackages(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func mustSources(t *testing.T) []source {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
