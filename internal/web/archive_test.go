package web

import (
	"errors"
	"net/http"
	"slices"
	"testing"
)

// pauses notes what it was told.
type pauses struct{ told []string }

func (p *pauses) Pause(rule, reason string) error {
	p.told = append(p.told, "pause "+rule+" "+reason)
	return nil
}

func (p *pauses) Resume(rule string) error {
	if rule == "none" {
		return errors.New("there is no such rule here")
	}
	p.told = append(p.told, "resume "+rule)
	return nil
}

func TestArchivePauses(t *testing.T) {
	p := &pauses{}
	s := start(t, Options{Archive: p})
	f := func(path string, code int, want string) {
		t.Helper()
		if got, _, body := ask(t, s, request{method: http.MethodPost, path: path}); got != code || body != want {
			t.Errorf("%s: %d %q", path, got, body)
		}
	}
	f("/archive/pause?rule=old&reason=backup", 200, "paused: old\n")
	f("/archive/resume", 200, "resumed: all rules\n")
	f("/archive/resume?rule=none", 404, "there is no such rule here\n")
	if got, _, _ := ask(t, s, request{path: "/archive/pause"}); got != 405 {
		t.Errorf("GET pauses: %d", got)
	}
	if want := []string{"pause old backup", "resume "}; !slices.Equal(p.told, want) {
		t.Errorf("%q", p.told)
	}
}

// A page of another site can post to a loopback address without being asked.
func TestPagesOfOtherSitesChangeNothing(t *testing.T) {
	p := &pauses{}
	s := start(t, Options{Archive: p})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr().String()+"/archive/pause", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || len(p.told) != 0 {
		t.Errorf("%d, %q", resp.StatusCode, p.told)
	}
}
