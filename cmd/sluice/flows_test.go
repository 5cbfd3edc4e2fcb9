package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/app"
	"sluice/internal/config"
	"sluice/internal/flow"
)

func TestURLOf(t *testing.T) {
	f := func(listen, want string) {
		t.Helper()
		if got := urlOf(listen); got != want {
			t.Errorf("%q: %q, want %q", listen, got, want)
		}
	}
	f("127.0.0.1:9630", "http://127.0.0.1:9630")
	f(":9630", "http://127.0.0.1:9630")
	f("0.0.0.0:80", "http://127.0.0.1:80")
	f("[::]:80", "http://127.0.0.1:80")
	f("[::1]:80", "http://[::1]:80")
	f("host:80", "http://host:80")
	f("", "")
}

// answering is a running sluice that notes what it is asked and answers by path.
func answering(t *testing.T, answers map[string]string) (url string, asked *[]string) {
	t.Helper()
	asked = &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.String())
		body, ok := answers[r.URL.Path]
		switch {
		case !ok:
			http.Error(w, "no such flow runs here", http.StatusNotFound)
		case strings.HasPrefix(body, "!"):
			http.Error(w, body[1:], http.StatusConflict)
		default:
			_, _ = w.Write([]byte(body))
		}
	}))
	t.Cleanup(func() { s.Close(); http.DefaultClient.CloseIdleConnections() })
	return s.URL, asked
}

// TestS7VerbsAskTheRunningOne: each verb asks the sluice that runs, with what was
// chosen, and its exit code tells what came of it.
func TestS7VerbsAskTheRunningOne(t *testing.T) {
	t.Chdir(t.TempDir())
	url, asked := answering(t, map[string]string{
		"/status":                        `{"flows": [{"name": "one", "source": {"namespaces": [{"ns": "b.c"}]}}, {"name": "two"}]}`,
		"/flows/one/deadletters":         `{"total": 7, "letters": [{"namespace": "b.c", "id": 5, "key": "5", "op": "write", "reason": "mapping", "error": "bad text"}]}`,
		"/flows/one/deadletters/retry":   `{"tried": 2, "closed": 2, "missing": 1}`,
		"/flows/two/deadletters/retry":   `{"tried": 2, "closed": 1, "open": {"mapping": 1}}`,
		"/flows/one/deadletters/drop":    `{"dropped": 4}`,
		"/flows/one/resync":              `{"namespace": "b.c", "started": true}`,
		"/flows/two/resync":              `{"namespace": "b.c", "dead_letters": {"mapping": 1}}`,
		"/flows/one/pause":               `{"flow": "one", "done": "paused"}`,
		"/flows/two/pause":               `!it is starting`,
		"/flows/one/resume":              `{"flow": "one", "namespace": "b.c", "done": "resumed; it is copied again"}`,
		"/flows/gone/deadletters/others": `{}`,
	})
	f := func(args string, code int, want []string, words ...string) {
		t.Helper()
		*asked = nil
		got, out, errOut := sluice(t, append(strings.Fields(args), "--url", url)...)
		if got != code {
			t.Errorf("%s: exit code %d, want %d: %s", args, got, code, errOut)
		}
		for i, w := range want {
			if i >= len(*asked) || (*asked)[i] != w {
				t.Errorf("%s: asked %q, want %q", args, *asked, want)
				break
			}
		}
		wantAll(t, out+errOut, words...)
	}
	status := "GET /status"
	f("deadletter ls --flow one --namespace b.c --reason mapping --key 5 --key x", 0,
		[]string{"GET /flows/one/deadletters?key=5&key=x&limit=100&ns=b.c&reason=mapping"}, "b.c  5  write  mapping", "7 dead letters, 6 of them not shown")
	f("deadletter ls --namespace b.c --json", 0, []string{status, "GET /flows/one/deadletters?limit=100&ns=b.c"}, `"total": 7`)
	f("deadletter ls", 2, []string{status}, "--flow", "one, two")
	f("deadletter ls --flow one --limit -1", 2, nil, "--limit")
	f("deadletter show 5 --flow one", 0, []string{"GET /flows/one/deadletters?errors=true&key=5&limit=0"}, "bad text")
	f("deadletter show 5 --flow one --body", 2, nil, "no configuration", "--config")
	f("deadletter retry --flow one --reason mapping", 0, []string{"POST /flows/one/deadletters/retry?reason=mapping"}, "2 closed", "1 of documents that are gone")
	f("deadletter retry --flow two", 3, []string{"POST /flows/two/deadletters/retry"}, "still open: 1 for mapping")
	f("deadletter drop --flow one --all", 0, []string{"POST /flows/one/deadletters/drop?all=true"}, "4 dead letters dropped")
	f("resync b.c", 0, []string{status, "POST /flows/one/resync?ns=b.c"}, "started")
	f("resync b.c --flow two --key 1", 3, []string{"POST /flows/two/resync?key=1&ns=b.c"}, "1 for mapping")
	f("pause --flow one --reason x", 0, []string{"POST /flows/one/pause?reason=x"}, "flow one: paused")
	f("pause --flow two", 1, nil, "it is starting")
	f("resume --flow one --namespace b.c", 0, []string{"POST /flows/one/resume?ns=b.c"}, "copied again")
	f("pause --flow gone", 1, nil, "no such flow")
}

// TestS7VerbsWithoutAnyone: where no sluice listens, what needs one says so, and
// the others work on the stores; where one was named, nothing is done without it.
func TestS7VerbsWithoutAnyone(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f := func(args string, code int, words ...string) {
		t.Helper()
		got, out, errOut := sluice(t, strings.Fields(args)...)
		if got != code {
			t.Errorf("%s: exit code %d, want %d: %s%s", args, got, code, out, errOut)
		}
		wantAll(t, out+errOut, words...)
	}
	f("deadletter ls --url http://127.0.0.1:1", 1, "is sluice running there?")
	f("pause --url http://127.0.0.1:1 --flow a", 1, "is sluice running there?")
	text := "mongodb: {uri: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50'}\nsearch: {urls: ['http://127.0.0.1:1']}\nhttp: {listen: '127.0.0.1:1'}\n" +
		"state: {store: file, path: " + dir + "}\ndead_letters: {store: file, path: " + dir + "}\nflows: [{name: a, namespaces: [b.c]}]\n"
	if err := os.WriteFile(filepath.Join(dir, "sluice.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f("deadletter ls", 0, "no dead letters")
	f("deadletter ls --json --offline", 0, `"total": 0`, `"letters": []`)
	f("deadletter show 1", 1, "there is none")
	f("deadletter drop --all", 0, "0 dead letters dropped")
	f("deadletter drop", 2, "nothing is chosen")
	f("deadletter retry", 1, "127.0.0.1:1")
	f("deadletter ls --url http://127.0.0.1:1", 1, "is sluice running there?")
	f("resync b.c", 1, "sluice run --resync b.c")
	f("pause", 1, "only a running sluice")
	f("deadletter ls --flow x", 2, "no such flow", "it has: a")
	if err := os.WriteFile(filepath.Join(dir, "sluice.yaml"), []byte(strings.Replace(text, "store: file, path: "+dir, "store: search", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	f("deadletter drop --all", 1, "--offline")
	f("deadletter drop --all --offline", 0, "0 dead letters dropped")
}

func TestLetterTexts(t *testing.T) {
	wantAll(t, lettersText(app.DeadLetterList{Total: 2, Letters: make([]app.DeadLetter, 2)}), "2 dead letters")
	gone := letterText([]app.DeadLetter{{Namespace: "b.c", ID: []byte("1"), Document: []byte("null")}, {Document: []byte(`{"_id":2}`)}})
	wantAll(t, gone, "b.c 1", "gone from MongoDB", `now: {"_id":2}`)
	var c config.Config
	target := flowTarget{cfg: &c}
	if err := target.nobody("x"); flow.ClassOf(err) != flow.Transient {
		t.Error(err)
	}
}
