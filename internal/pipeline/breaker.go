package pipeline

import (
	"fmt"
	"sync"
	"time"

	"sluice/internal/flow"
)

const (
	// maxInRow dead letters of one namespace without a good document between them.
	maxInRow = 1000
	// minInMinute documents have to be seen before a share of them says anything.
	minInMinute = 1000
	// badShare: more than one in badShare documents of a minute.
	badShare = 10

	breakerBuckets = 6
	bucketSeconds  = 10
)

// breaker ends the pump when so many documents of a namespace go to the dead
// letters that the fault can't be theirs (rule S7). A nil breaker never does.
type breaker struct {
	mu sync.Mutex
	ns map[flow.Namespace]*badRun
}

// badRun is what the breaker knows of one namespace: the dead letters since
// the last good document, and the last minute in buckets of ten seconds.
type badRun struct {
	row     int
	buckets [breakerBuckets]bucket
}

type bucket struct {
	at        int64 // Unix seconds over bucketSeconds
	docs, bad int
	reasons   map[string]int
}

func newBreaker() *breaker { return &breaker{ns: make(map[flow.Namespace]*badRun)} }

// settled counts n documents that were settled without fault; endRow says that
// they come after all dead letters counted so far.
func (b *breaker) settled(ns flow.Namespace, n int, endRow bool, now time.Time) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.run(ns)
	if endRow {
		r.row = 0
	}
	r.bucket(now).docs += n
}

// bad counts one dead letter and returns the error that ends the pump when it
// was one too many.
func (b *breaker) bad(ns flow.Namespace, reason string, now time.Time) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.run(ns)
	r.row++
	k := r.bucket(now)
	k.docs++
	k.bad++
	if k.reasons == nil {
		k.reasons = make(map[string]int)
	}
	k.reasons[reason]++
	if r.row >= maxInRow {
		return r.trip(ns, now, fmt.Sprintf("%d documents in a row", r.row))
	}
	if docs, bad := r.minute(now); docs >= minInMinute && bad*badShare > docs {
		return r.trip(ns, now, fmt.Sprintf("%d of the last minute's %d documents", bad, docs))
	}
	return nil
}

func (b *breaker) run(ns flow.Namespace) *badRun {
	r := b.ns[ns]
	if r == nil {
		r = &badRun{}
		b.ns[ns] = r
	}
	return r
}

func (r *badRun) bucket(now time.Time) *bucket {
	at := now.Unix() / bucketSeconds
	k := &r.buckets[at%breakerBuckets]
	if k.at != at {
		*k = bucket{at: at}
	}
	return k
}

func (r *badRun) minute(now time.Time) (docs, bad int) {
	oldest := now.Unix()/bucketSeconds - breakerBuckets
	for i := range r.buckets {
		if r.buckets[i].at > oldest {
			docs += r.buckets[i].docs
			bad += r.buckets[i].bad
		}
	}
	return docs, bad
}

func (r *badRun) trip(ns flow.Namespace, now time.Time, which string) error {
	most, n := "unknown", 0
	sums := make(map[string]int)
	oldest := now.Unix()/bucketSeconds - breakerBuckets
	for i := range r.buckets {
		if r.buckets[i].at <= oldest {
			continue
		}
		for reason, k := range r.buckets[i].reasons {
			if sums[reason] += k; sums[reason] > n {
				most, n = reason, sums[reason]
			}
		}
	}
	return &flow.Error{
		Op:     "write documents of",
		Object: ns.String(),
		Class:  flow.Fatal,
		Err:    fmt.Errorf("%s went to the dead letters, most often for the reason %q", which, most),
		Hint: "So many faults are hardly the documents' own: look at the dead letters, mend the mapping or the\n" +
			"configuration, and start again. Nothing is lost: the position did not move past these documents.",
	}
}
