package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/flow"
	"sluice/internal/search"
)

// engineAt is a search engine that answers from a time on, and before refuses, or
// hangs.
type engineAt struct {
	up    time.Time
	hangs bool
	code  int
}

func (e engineAt) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"version":{"number":"2.0.0","distribution":"opensearch"},"tagline":"x"}`
	code := http.StatusOK
	switch {
	case e.code != 0:
		code, body = e.code, `{}`
	case time.Now().Before(e.up) && e.hangs:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case time.Now().Before(e.up):
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func tryOpen(ctx context.Context, e engineAt, within time.Duration) (time.Duration, error) {
	started := time.Now()
	c, err := openSearch(ctx, search.Options{URLs: []string{"http://127.0.0.1:9"}, Transport: e, Logger: slog.New(slog.DiscardHandler)}, within)
	if err == nil {
		c.Close()
	}
	return time.Since(started), err
}

func TestStartWaitsForSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(e engineAt, up, within time.Duration, least, most time.Duration, want string) {
			t.Helper()
			e.up = time.Now().Add(up)
			took, err := tryOpen(t.Context(), e, within)
			if took < least || took > most {
				t.Errorf("it took %v, want %v to %v", took, least, most)
			}
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		}
		f(engineAt{}, 0, 0, 0, 0, "")
		f(engineAt{}, time.Minute, 0, 0, 0, "connection refused")
		f(engineAt{}, 10*time.Second, 15*time.Second, 10*time.Second, 15*time.Second, "")
		f(engineAt{}, time.Minute, 15*time.Second, 15*time.Second, 15*time.Second, "search.startup_timeout (15s) is over")
		f(engineAt{hangs: true}, time.Hour, 15*time.Second, 15*time.Second, 15*time.Second, "search.startup_timeout (15s) is over")
		f(engineAt{code: http.StatusUnauthorized}, time.Minute, 15*time.Second, 0, 0, "search.auth")
		f(engineAt{code: http.StatusServiceUnavailable}, time.Minute, 15*time.Second, 15*time.Second, 15*time.Second, "is over")

		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errNotBegun)
		defer cancel()
		if took, err := tryOpen(ctx, engineAt{up: time.Now().Add(time.Hour)}, time.Minute); took != time.Second || !errors.Is(err, errNotBegun) {
			t.Errorf("after the end of its context it ended after %v with %v", took, err)
		}
		if _, err := tryOpen(t.Context(), engineAt{up: time.Now().Add(time.Hour)}, time.Second); flow.ClassOf(err) != flow.Transient {
			t.Errorf("the error is of class %v", flow.ClassOf(err))
		}
	})
}
