package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	f := func(in string, code int, says ...string) {
		t.Helper()
		var out strings.Builder
		got := report(strings.NewReader(in), &out)
		if got != code {
			t.Errorf("exit code %d, want %d\n%s", got, code, out.String())
		}
		for _, want := range says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s\nshould say %q", out.String(), want)
			}
		}
	}
	const pass = `{"Action":"output","Package":"sluice/internal/mongo","Test":"TestA","Output":"    TESTKIT mongod 6.0.5, 3 nodes\n"}
{"Action":"pass","Package":"sluice/internal/mongo","Test":"TestA","Elapsed":1}
{"Action":"pass","Package":"sluice/internal/mongo","Elapsed":2.5}
`
	const fail = `{"Action":"output","Package":"sluice/internal/web","Test":"TestB","Output":"the reason\n"}
{"Action":"fail","Package":"sluice/internal/web","Test":"TestB","Elapsed":1}
{"Action":"fail","Package":"sluice/internal/web","Elapsed":2.5}
`
	f(pass, 0, "pass internal/mongo  1 tests, 2.5 s", "RAN AGAINST", "mongod 6.0.5, 3 nodes  internal/mongo")
	f(pass+fail, 1, "the reason", "FAILED\n  internal/web TestB", "all             1       1       5.0")
	f(`{"Action":"skip","Package":"sluice/internal/web","Test":"TestB"}`, 1, "TestB (skipped)")
	f(`{"Action":"skip","Package":"sluice/internal/flow","Elapsed":0}`+"\n"+pass, 0)
	f(`{"Action":"build-output","ImportPath":"sluice/x","Output":"x.go:1: bad\n"}
{"Action":"build-fail","ImportPath":"sluice/x"}`, 1, "x.go:1: bad", "build of sluice/x")
	f(`{"Action":"output","Package":"sluice/x","Test":"TestP","Output":"panic: boom\n"}
{"Action":"fail","Package":"sluice/x","Elapsed":1}`, 1, "panic: boom", "FAILED\n  x")
	f("go: no such thing\n", 1, "go: no such thing", "no test ran")
	f("", 1, "no test ran")
}
