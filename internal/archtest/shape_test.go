package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// The budget of sizes, in lines.
const (
	maxFunction = 120
	maxFile     = 600
)

func TestSizeBudget(t *testing.T) {
	var lengths []int
	for _, s := range mustSources(t) {
		if n := s.line(s.ast.FileEnd - 1); n > maxFile {
			t.Errorf("%s has %d lines, more than %d: one noun per file", s.path, n, maxFile)
		}
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			n := s.line(f.End()) - s.line(f.Pos()) + 1
			if n > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, f.Name.Name, n, maxFunction)
			}
			if !s.test {
				lengths = append(lengths, n)
			}
		}
	}
	slices.Sort(lengths)
	if p95 := lengths[len(lengths)*95/100]; p95 > 60 {
		t.Errorf("one function in twenty is longer than %d lines; 60 is the budget", p95)
	}
}

// call returns "pkg.Func" of a call to a function of a package, or "x.Method".
func call(n ast.Node) string {
	c, ok := n.(*ast.CallExpr)
	if !ok {
		return ""
	}
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + sel.Sel.Name
}

func TestNoTestSkips(t *testing.T) {
	for _, s := range mustSources(t) {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch _, name, _ := strings.Cut(call(n), "."); name {
			case "Skip", "Skipf", "SkipNow":
				if s.test || isTestOnly(s.pkg.name()) {
					t.Errorf("%s:%d skips: what can't run is a failure that names the cure", s.path, s.line(n.Pos()))
				}
			}
			return true
		})
	}
}

// Time in tests is fake; so a test file that sleeps is one that uses synctest.
func TestNoTestSleeps(t *testing.T) {
	for _, s := range mustSources(t) {
		if !s.test || s.imports("testing/synctest") {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if call(n) == "time.Sleep" {
				t.Errorf("%s:%d sleeps: wait for what is to happen, or use testing/synctest", s.path, s.line(n.Pos()))
			}
			return true
		})
	}
}

func TestOneExit(t *testing.T) {
	for _, s := range mustSources(t) {
		if s.test || s.pkg.Name == "main" {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch name := call(n); name {
			case "os.Exit", "log.Fatal", "log.Fatalf", "fmt.Print", "fmt.Printf", "fmt.Println":
				t.Errorf("%s:%d calls %s: return an error, log by slog, leave by cmd", s.path, s.line(n.Pos()), name)
			}
			return true
		})
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range mustSources(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s:%d has an init function: say it where it is used", s.path, s.line(f.Pos()))
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	said := map[string]bool{}
	for _, s := range mustSources(t) {
		if !s.test {
			said[s.pkg.name()] = said[s.pkg.name()] || s.ast.Doc != nil
		}
	}
	for name, ok := range said {
		if !ok {
			t.Errorf("%s has no package comment", name)
		}
	}
}

func TestEveryExportedNameHasAComment(t *testing.T) {
	for _, s := range mustSources(t) {
		if s.test {
			continue
		}
		for _, d := range s.ast.Decls {
			for _, name := range uncommented(d) {
				t.Errorf("%s:%d: %s is exported and has no comment", s.path, s.line(d.Pos()), name)
			}
		}
	}
}

// uncommented returns the exported names of d that no comment tells about.
func uncommented(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && receiverExported(d) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc != nil {
			return nil
		}
		var names []string
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && spec.Doc == nil {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range spec.Names {
					if n.IsExported() && spec.Doc == nil && spec.Comment == nil {
						names = append(names, n.Name)
					}
				}
			}
		}
		return names
	}
	return nil
}

// receiverExported is false for methods of types that nobody outside can name.
func receiverExported(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// What a checkout on another machine could not have must not be written down.
func TestNoMachinePaths(t *testing.T) {
	for _, s := range mustSources(t) {
		text, err := os.ReadFile(s.fset.Position(s.ast.Pos()).Filename)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/"} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s names %s, a path of one machine", s.path, bad)
			}
		}
	}
}
