//go:build integration

package testkit

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// TestSearchAttachment: the plug-in is there, and reads text out of a file.
func TestSearchAttachment(t *testing.T) {
	s := startSearch(t, SearchOptions{Attachment: true})
	if code := call(t, http.MethodPut, s.URL()+"/_ingest/pipeline/p", `{"processors":[{"attachment":{"field":"file"}}]}`); code != http.StatusOK {
		t.Fatal(code)
	}
	const page = "<html><head><title>Old Moon</title></head><body>the <b>whole</b> text</body></html>"
	body := `{"file":"` + base64.StdEncoding.EncodeToString([]byte(page)) + `"}`
	if code := call(t, http.MethodPut, s.URL()+"/a/_doc/1?refresh=true&pipeline=p", body); code != http.StatusCreated {
		t.Fatal(code)
	}
	_, got, err := s.Ask(t.Context(), http.MethodGet, "/a/_source/1?_source_includes=attachment", http.NoBody)
	if err != nil || !strings.Contains(string(got), "the whole text") || !strings.Contains(string(got), `"title":"Old Moon"`) {
		t.Fatal(string(got), err)
	}
}
