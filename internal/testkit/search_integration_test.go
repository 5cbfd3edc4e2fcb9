//go:build integration

package testkit

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func startSearch(t *testing.T, o SearchOptions) *Search {
	t.Helper()
	began := time.Now()
	s, err := StartSearch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%s up in %s", s, time.Since(began).Round(time.Millisecond))
	return s
}

func call(t *testing.T, method, url, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func TestSearchShared(t *testing.T) {
	s := SharedSearch(t)
	if s != SharedSearch(t) {
		t.Fatal("two of them")
	}
	if code := call(t, http.MethodPut, s.URL()+"/"+UniqueName(t)+"/_doc/1?refresh=true", `{"a":1}`); code != http.StatusCreated {
		t.Fatal(code)
	}
}

func TestSearchKillAndRestart(t *testing.T) {
	s := startSearch(t, SearchOptions{Own: true})
	url := s.URL() + "/a/_doc/1"
	if code := call(t, http.MethodPut, url+"?refresh=true", `{"a":1}`); code != http.StatusCreated {
		t.Fatal(code)
	}
	for _, end := range []func() error{s.Kill, func() error { return nil }} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		if code := call(t, http.MethodGet, url, ""); code != http.StatusOK {
			t.Fatal(code)
		}
	}
}

// TestSearchVersions starts each engine in the wide run, which has the time to
// fetch them; the default one is started by the other tests.
func TestSearchVersions(t *testing.T) {
	wide, _ := strconv.ParseBool(os.Getenv("SLUICE_SOAK"))
	for _, v := range Versions() {
		if !wide {
			break
		}
		t.Run(v[0]+" "+v[1], func(t *testing.T) {
			s := startSearch(t, SearchOptions{Product: v[0], Version: v[1], MaxContentLength: "1mb"})
			url := s.URL() + "/a/_doc/1"
			if code := call(t, http.MethodPut, url+"?refresh=true", `{"a":1}`); code != http.StatusCreated {
				t.Fatal(code)
			}
			if code := call(t, http.MethodPut, url, `{"a":"`+strings.Repeat("x", 2<<20)+`"}`); code != http.StatusRequestEntityTooLarge {
				t.Fatal(code)
			}
			if err := errors.Join(s.Kill(), s.Restart()); err != nil {
				t.Fatal(err)
			}
			if code := call(t, http.MethodGet, url, ""); code != http.StatusOK {
				t.Fatal(code)
			}
		})
	}
}
