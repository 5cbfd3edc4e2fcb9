package monstache

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// contract is the list of all keys, flags and variables, with the states of keys.
func contract(t *testing.T) (keys map[string]string, flags, vars []string) {
	t.Helper()
	raw, err := os.ReadFile("testdata/contract.txt")
	if err != nil {
		t.Fatal(err)
	}
	keys = map[string]string{}
	for line := range strings.SplitSeq(string(raw), "\n") {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '-':
			flags = append(flags, line[1:])
		case strings.HasPrefix(line, prefix):
			vars = append(vars, line)
		default:
			name, state, _ := strings.Cut(line, " ")
			keys[name] = state
		}
	}
	return keys, flags, vars
}

// TestContract: the table has every key, flag and variable of the contract, and
// each has a fixture.
func TestContract(t *testing.T) {
	keys, flags, vars := contract(t)
	if len(keys) != 148 || len(flags) != 92 || len(vars) != 34 {
		t.Errorf("%d keys, %d flags, %d variables: the list was cut", len(keys), len(flags), len(vars))
	}
	table := map[string]Key{}
	var tableFlags, tableVars []string
	for _, k := range Keys() {
		if _, dup := table[k.Name]; dup {
			t.Errorf("%s is there twice", k.Name)
		}
		table[k.Name] = k
		if k.Flag != "" {
			tableFlags = append(tableFlags, k.Flag)
		}
		if k.Env != "" && !slices.Contains(tableVars, prefix+k.Env) {
			tableVars = append(tableVars, prefix+k.Env)
		}
	}
	for name, state := range keys {
		k, ok := table[name]
		if !ok {
			t.Errorf("%s is not in the table", name)
			continue
		}
		if (state == "F") != k.FlagOnly || (state == "R") != (k.State == Warned) {
			t.Errorf("%s is %q in the contract", name, state)
		}
		if state != "F" {
			hasFixture(t, "keys", strings.ReplaceAll(name, ".*", ".any"))
		}
	}
	same(t, "flags", flags, tableFlags)
	same(t, "env", vars, tableVars)
}

func same(t *testing.T, dir string, want, got []string) {
	t.Helper()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("%s: the table has\n%v\nthe contract\n%v", dir, got, want)
	}
	for _, name := range want {
		hasFixture(t, dir, name)
	}
}

func hasFixture(t *testing.T, dir, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("testdata", dir, name+".txt")); err != nil {
		t.Errorf("%s has no fixture: %v", name, err)
	}
}

// TestTable: each key has a default of its type, a sentence, and its place in what
// -print-config shows.
func TestTable(t *testing.T) {
	printed := map[string]bool{}
	walkPrinted(printOrder(), printed)
	for _, k := range Keys() {
		if k.Does == "" || !strings.HasSuffix(k.Does, ".") || k.State == 0 || k.Kind == 0 {
			t.Errorf("%s: no sentence, state or type", k.Name)
		}
		if v := defaultOf(k); v.Kind != k.Kind {
			t.Errorf("%s: default of kind %v", k.Name, v.Kind)
		}
		inTables := slices.Contains(lists(), k.tableOf())
		if want := !k.FlagOnly && k.Kind != Any && k.State != Warned && !inTables; printed[k.Name] != want {
			t.Errorf("%s: printed %v, want %v", k.Name, printed[k.Name], want)
		}
	}
}

func walkPrinted(all []printed, into map[string]bool) {
	for _, p := range all {
		if p.key != "" {
			into[p.key] = true
		}
		walkPrinted(p.fields, into)
	}
}
