//go:build integration

package app

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/internal/pipeline"
	"sluice/internal/testkit"
)

const (
	oneFlow  = "flows:\n  - {name: one, namespaces: [DB.a]}\n"
	twoFlows = oneFlow + "  - {name: two, namespaces: [DB.b]}\n"
	// often is how often tests look at the file.
	often = 20 * time.Millisecond
)

// TestReloadFlowsComeAndGo: a flow that is added copies and follows; the other
// one runs on undisturbed under writes: it is the same one, and reads nothing
// again; one that is removed ends, and goes on where it was when it comes back.
func TestReloadFlowsComeAndGo(t *testing.T) {
	s := newWatchStage(t)
	s.insert(t, "a", 2000)
	s.insert(t, "b", 300)
	s.write(t, oneFlow)
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	one := flowNamed(t, a, "one")
	before := read(one)
	end := s.load(t, "a")
	s.write(t, twoFlows)
	generation(t, a, 2)
	if n := read(flowNamed(t, a, "two")); n != 300 {
		t.Errorf("the added flow read %d documents", n)
	}
	if one.budget.Load() != int64(a.config().Limits.MemoryBudget)/2 {
		t.Errorf("the budget is not shared: %d", one.budget.Load())
	}
	s.write(t, oneFlow)
	generation(t, a, 3)
	if len(a.live()) != 1 {
		t.Error(a.Status().Text())
	}
	s.write(t, twoFlows)
	generation(t, a, 4)
	end()
	if f := flowNamed(t, a, "one"); f != one || read(one) != before {
		t.Errorf("the flow that did not change was disturbed: read %d, now %d", before, read(f))
	}
	if n := read(flowNamed(t, a, "two")); n != 0 {
		t.Errorf("the flow that came back copied %d documents again", n)
	}
	s.whole(t, "a")
	s.whole(t, "b")
	sure(t, stop())
}

// TestReloadNamespaceAdded: a flow that gets another namespace copies that one
// alone, and misses nothing of the other.
func TestReloadNamespaceAdded(t *testing.T) {
	s := newWatchStage(t)
	s.insert(t, "a", 2000)
	s.insert(t, "b", 300)
	s.write(t, oneFlow)
	o := s.options(t, often)
	o.Resync = []string{resyncAll} // was for the start
	a, stop := run(t, o)
	testkit.Eventually(t, time.Minute, copied(a))
	end := s.load(t, "a")
	s.write(t, strings.Replace(oneFlow, "[DB.a]", "[DB.a, DB.b]", 1))
	generation(t, a, 2)
	end()
	if n := read(flowNamed(t, a, "one")); n != 300 {
		t.Errorf("%d documents were copied", n)
	}
	s.whole(t, "a")
	s.whole(t, "b")
	sure(t, stop())
}

// TestS12ReloadRefused: what can't be taken leaves everything as it is, ready, and
// says why and where; the old configuration put back is in force again.
func TestS12ReloadRefused(t *testing.T) {
	s := newWatchStage(t)
	s.insert(t, "a", 100)
	s.write(t, oneFlow)
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	one := flowNamed(t, a, "one")
	head := s.head
	f := func(text, why, place string) {
		t.Helper()
		s.write(t, text)
		st := refused(t, a, why)
		if place != "" && (len(st.Places) == 0 || st.Places[0] != s.path+":"+place) {
			t.Errorf("%q, want %s", st.Places, place)
		}
		if st.Generation != 1 || flowNamed(t, a, "one") != one || !strings.Contains(a.Status().Text(), "was refused at") {
			t.Errorf("something changed: %s", a.Status().Text())
		}
		if err := a.ready(t.Context()); err != nil {
			t.Errorf("not ready: %v", err)
		}
		s.head = head
		s.write(t, oneFlow)
		testkit.Eventually(t, time.Minute, func() error {
			if st := a.Status().Config; st.Error != "" {
				return errors.New(st.Error)
			}
			return nil
		})
	}
	f(oneFlow+"nonsense: 1\n", `unknown field "nonsense"`, "7:1")
	f("flows: [", "", "")
	f("state: {path: /elsewhere}\n", "is there twice", "")
	f("s3: {region: x}\n"+oneFlow, "applies only", "")
	f(strings.Replace(oneFlow, "[DB.a]", "[DB.a], fields: {exclude: [n]}", 1), "shapes the documents", "")
	s.head = strings.Replace(head, "mongodb://", "mongodb://127.0.0.2:1,", 1)
	f(oneFlow, "mongodb.uri: changed, and needs a restart", "1:16")
	s.head = strings.Replace(head, s.cfg.Search.URLs[0], "http://127.0.0.1:1", 1)
	f(oneFlow, "127.0.0.1:1", "")
	sure(t, stop())
	if one.life.trial {
		t.Error("it was started again")
	}
}

// TestReloadStartsTheOldAgain: what only the start of a flow can find is told,
// and the flows of the old configuration go on from where they were.
func TestReloadStartsTheOldAgain(t *testing.T) {
	s := newWatchStage(t)
	s.insert(t, "a", 500)
	s.insert(t, "c", 5)
	s.write(t, oneFlow)
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	end := s.load(t, "a")
	s.write(t, strings.Replace(oneFlow, "[DB.a]", "[DB.a], snapshot: {rate: 1000}", 1)+
		"  - {name: bad, namespaces: [DB.c], mappings: {properties: {n: {type: no_such_type}}}}\n")
	refused(t, a, "flow bad does not start")
	testkit.Eventually(t, time.Minute, copied(a))
	end()
	one := flowNamed(t, a, "one")
	if len(a.live()) != 1 || one.cfg.Snapshot.Rate != 0 || read(one) != 0 {
		t.Errorf("the old configuration does not go on: %s", a.Status().Text())
	}
	if err := a.ready(t.Context()); err != nil {
		t.Error(err)
	}
	s.whole(t, "a")
	sure(t, stop())
}

// TestReloadShapeAccepted: with --accept-shape a changed shape is taken, as at a start.
func TestReloadShapeAccepted(t *testing.T) {
	s := newWatchStage(t)
	s.accept = true
	s.insert(t, "a", 100)
	s.write(t, oneFlow)
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	s.write(t, strings.Replace(oneFlow, "[DB.a]", "[DB.a], fields: {exclude: [n]}", 1))
	generation(t, a, 2)
	if n := read(flowNamed(t, a, "one")); n != 0 {
		t.Errorf("%d documents were copied again", n)
	}
	sure(t, stop())
}

// TestReloadIndexRenamed: another index is filled by a copy, as at a start.
func TestReloadIndexRenamed(t *testing.T) {
	s := newWatchStage(t)
	s.insert(t, "a", 100)
	s.write(t, oneFlow)
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	s.write(t, strings.Replace(oneFlow, "[DB.a]", "[DB.a], index: N-other", 1))
	generation(t, a, 2)
	if n := read(flowNamed(t, a, "one")); n != 100 {
		t.Errorf("%d documents were copied", n)
	}
	sure(t, stop())
}

// TestReloadLinkSwap: a ConfigMap's file is behind two links, of which the first
// is swapped; a secret beside it is rotated the same way, and comes into force
// without a copy. Nothing of the file is written in place.
func TestReloadLinkSwap(t *testing.T) {
	s := newWatchStage(t)
	s.insert(t, "a", 100)
	s.head = strings.Replace(s.head, "]}", "], auth: {api_key: \"${file:"+filepath.Join(s.dir, "key")+"}\"}}", 1)
	put := func(version, text, key string) {
		t.Helper()
		dir := filepath.Join(s.dir, version)
		sure(t, os.Mkdir(dir, 0o700))
		sure(t, os.WriteFile(filepath.Join(dir, "sluice.yaml"), []byte(s.fill(text)), 0o600))
		sure(t, os.WriteFile(filepath.Join(dir, "key"), []byte(key), 0o600))
		link := filepath.Join(s.dir, "..data_tmp")
		sure(t, os.Symlink(version, link))
		sure(t, os.Rename(link, filepath.Join(s.dir, "..data")))
	}
	put("..1", oneFlow, "a2V5OjE=")
	for _, name := range []string{"sluice.yaml", "key"} {
		sure(t, os.Symlink(filepath.Join("..data", name), filepath.Join(s.dir, name)))
	}
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	put("..2", oneFlow, "a2V5OjI=")
	generation(t, a, 2)
	one := flowNamed(t, a, "one")
	if key := one.o.Config.Search.Auth.APIKey.Reveal(); key != "a2V5OjI=" || read(one) != 0 {
		t.Errorf("the key is %s; %d documents were copied again", key, read(one))
	}
	put("..3", twoFlows, "a2V5OjI=")
	generation(t, a, 3)
	if flowNamed(t, a, "one") != one {
		t.Error("the flow that did not change was disturbed")
	}
	sure(t, stop())
}

// TestReloadHalfWritten: a file that is written slowly is not taken before it
// stays as it is, and one that is gone changes nothing.
func TestReloadHalfWritten(t *testing.T) {
	s := newWatchStage(t)
	s.insert(t, "a", 10)
	s.write(t, twoFlows)
	a, stop := s.start(t, 300*time.Millisecond)
	testkit.Eventually(t, time.Minute, copied(a))
	whole := s.fill(strings.Replace(twoFlows, "[DB.b]", "[DB.b], snapshot: {rate: 5}", 1))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := len(s.fill(oneFlow)) - 20; n <= len(whole); n++ { // some of these parts are configurations too
		sure(t, os.WriteFile(s.path, []byte(whole[:n]), 0o600))
		<-tick.C
	}
	generation(t, a, 2)
	if st := a.Status().Config; st.Changes != "changed flow two" {
		t.Error(st.Changes)
	}
	sure(t, os.Remove(s.path))
	refused(t, a, "no such file")
	s.write(t, oneFlow)
	generation(t, a, 3)
	sure(t, stop())
}

// down lets requests pass until it is closed for good, or says 401.
type down struct {
	status atomic.Int32
}

func (d *down) RoundTrip(r *http.Request) (*http.Response, error) {
	if code := d.status.Load(); code != 0 {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return &http.Response{
			StatusCode: int(code), Status: http.StatusText(int(code)), Header: http.Header{"Content-Type": {"application/json"}},
			Body: http.NoBody, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestReloadWhileBlocked: a flow that can't drain is cut after a while, and the
// one that takes its place reads again what was not settled.
func TestReloadWhileBlocked(t *testing.T) {
	s := newWatchStage(t)
	sink := &down{}
	s.transport = sink
	s.insert(t, "a", 10)
	s.write(t, oneFlow)
	a := New(s.options(t, often))
	a.grace = 500 * time.Millisecond
	drain, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.Run(t.Context(), drain) }()
	testkit.Eventually(t, time.Minute, copied(a))
	one := flowNamed(t, a, "one")
	sink.status.Store(http.StatusServiceUnavailable)
	s.put(t, "a", 10, 30, "")
	testkit.Eventually(t, time.Minute, func() error {
		if st := one.status().Pump.State; st != pipeline.BlockedSink {
			return fmt.Errorf("the pump is %s", st)
		}
		return nil
	})
	s.write(t, strings.Replace(oneFlow, "[DB.a]", "[DB.a], snapshot: {rate: 1000}", 1))
	<-one.life.ended
	sink.status.Store(0)
	testkit.Eventually(t, 2*time.Minute, func() error { return errors.Join(copied(a)(), a.ready(t.Context())) })
	s.whole(t, "a")
	if n := read(flowNamed(t, a, "one")); n != 0 {
		t.Errorf("%d documents were copied again", n)
	}
	close(drain)
	sure(t, <-ended)
}

// TestReloadAnyTime: reloads in a row, asked for at any moment of starts and
// drains, end in the last configuration; and all ends when told to, also in the
// middle of one, or when a flow fails then.
func TestReloadAnyTime(t *testing.T) {
	texts := []string{
		twoFlows, oneFlow, strings.Replace(twoFlows, "[DB.a]", "[DB.a], snapshot: {rate: 1000}", 1), "flows: [",
		strings.Replace(oneFlow, "name: one", "name: three", 1), strings.Replace(twoFlows, "[DB.b]", "[/^DB[.]b/]", 1),
	}
	s := newWatchStage(t)
	s.insert(t, "a", 200)
	s.insert(t, "b", 200)
	sink := &down{}
	s.transport = sink
	s.write(t, oneFlow)
	a, stop := s.start(t, 0)
	for i := range 60 {
		s.write(t, texts[i*7%len(texts)])
		for range 3 {
			select {
			case s.hangup <- syscall.SIGHUP:
			default:
			}
		}
		pause := time.NewTimer(time.Duration(i%13) * 15 * time.Millisecond)
		<-pause.C
	}
	s.write(t, twoFlows)
	s.hangup <- syscall.SIGHUP
	testkit.Eventually(t, time.Minute, func() error {
		if st := a.Status(); len(st.Flows) != 2 || st.Config.Error != "" {
			return errors.New(st.Text())
		}
		return errors.Join(copied(a)(), a.ready(t.Context()))
	})
	s.whole(t, "a")
	s.whole(t, "b")
	if n := a.Status().Config.Generation; n > 62 {
		t.Errorf("%d generations", n)
	}
	s.write(t, texts[2])
	s.hangup <- syscall.SIGHUP
	sure(t, stop())

	// Once more, ended by a flow that fails while another is replaced.
	s.write(t, twoFlows)
	a, _ = s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	sink.status.Store(http.StatusUnauthorized)
	s.put(t, "b", 200, 210, "")
	s.write(t, texts[2])
	testkit.Eventually(t, time.Minute, func() error {
		for _, f := range a.live() {
			select {
			case <-f.life.ended:
			default:
				return fmt.Errorf("%s has not ended", f.cfg.Name)
			}
		}
		return nil
	})
}
