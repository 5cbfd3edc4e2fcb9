package archive

import (
	"sync"
	"time"

	"sluice/internal/governor"
)

// Progress is what a rule on a collection does now, for /status and the
// progress line. A copy is the caller's.
type Progress struct {
	Rule  string `json:"rule"`
	NS    string `json:"namespace"`
	State string `json:"state"`
	Run   string `json:"run,omitempty"`
	Pack  string `json:"pack,omitempty"`
	// Expected is the number of old documents at the start; the others count
	// since then. In a shadow run Deleted is what would have been.
	Expected int64 `json:"expected"`
	Read     int64 `json:"read"`
	Uploaded int64 `json:"uploaded"`
	Deleted  int64 `json:"deleted"`
	Changed  int64 `json:"changed"`
	Gone     int64 `json:"gone"`
	// ReadBytes is BSON, UploadedBytes what went into the bucket.
	ReadBytes     int64 `json:"read_bytes"`
	UploadedBytes int64 `json:"uploaded_bytes"`
	// DocsPerSecond is that since the first document was read.
	DocsPerSecond float64 `json:"docs_per_second"`
	// Wait is why nothing goes on, or why it goes on slowly; else "".
	Wait string `json:"wait,omitempty"`
	// ETA is how long the rest takes at this rate, 0 if that is not known.
	ETA     time.Duration `json:"eta_ns,omitempty"`
	Started time.Time     `json:"started"`
	Ended   time.Time     `json:"ended,omitzero"`
	Error   string        `json:"error,omitempty"`
}

// board holds the tallies of all rules that have run.
type board struct {
	mu   sync.Mutex
	keys []string
	all  map[string]*tally
}

// tally counts one Run. The zero moments are those of our monotonic clock.
type tally struct {
	since time.Time

	mu      sync.Mutex
	p       Progress
	first   time.Time
	running bool
}

func (b *board) start(r Rule) *tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[string]*tally{}
	}
	key := r.LeaseName()
	if b.all[key] == nil {
		b.keys = append(b.keys, key)
	}
	now := time.Now()
	t := &tally{since: now, running: true, p: Progress{Rule: r.Name, NS: r.NS.String(), Started: now}}
	b.all[key] = t
	return t
}

// Progress returns what each rule does or did last, in the order of their first
// runs. It is safe at any time.
func (r *Runner) Progress() []Progress {
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	all := make([]Progress, 0, len(r.board.keys))
	for _, k := range r.board.keys {
		all = append(all, r.board.all[k].progress(r.deps.Governor))
	}
	return all
}

func (t *tally) progress(g *governor.Governor) Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.p
	if !t.running {
		return p
	}
	p.Wait = g.Reason()
	if t.first.IsZero() {
		return p
	}
	if s := time.Since(t.first).Seconds(); s > 0 {
		p.DocsPerSecond = float64(p.Read) / s
	}
	if left := p.Expected - p.Read; left > 0 && p.DocsPerSecond > 0 {
		p.ETA = time.Duration(float64(left) / p.DocsPerSecond * float64(time.Second))
	}
	return p
}

func (t *tally) with(f func(p *Progress)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.p)
}

func (t *tally) state(s string)   { t.with(func(p *Progress) { p.State = s }) }
func (t *tally) expect(n int64)   { t.with(func(p *Progress) { p.Expected = n }) }
func (t *tally) runIs(id string)  { t.with(func(p *Progress) { p.Run = id }) }
func (t *tally) packIs(id string) { t.with(func(p *Progress) { p.Pack = id }) }

func (t *tally) read(docs int, bytes int64) {
	t.with(func(p *Progress) {
		if t.first.IsZero() {
			t.first = time.Now()
		}
		p.Read += int64(docs)
		p.ReadBytes += bytes
	})
}

func (t *tally) uploaded(docs int, bytes int64) {
	t.with(func(p *Progress) {
		p.Uploaded += int64(docs)
		p.UploadedBytes += bytes
	})
}

func (t *tally) removed(deleted, changed, gone int) {
	t.with(func(p *Progress) {
		p.Deleted += int64(deleted)
		p.Changed += int64(changed)
		p.Gone += int64(gone)
	})
}

func (t *tally) ended(err error) {
	t.with(func(p *Progress) {
		p.State = "idle"
		if err != nil {
			p.State, p.Error = "failed", firstLine(err)
		}
	})
}

// stop freezes the tally.
func (t *tally) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running, t.p.Ended = false, time.Now()
	if s := t.p.Ended.Sub(t.first).Seconds(); !t.first.IsZero() && s > 0 {
		t.p.DocsPerSecond = float64(t.p.Read) / s
	}
}
