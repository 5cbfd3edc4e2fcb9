package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// idle takes the place of a fingerprint where no stream is followed.
const idle = "idle"

// endOfTime is after everything.
func endOfTime() bson.Timestamp { return bson.Timestamp{T: 1<<32 - 1, I: 1<<32 - 1} }

// fingerprint is that of the stream that is followed, or says that there is none.
func (s *Source) fingerprint() string {
	if s.sel.streamed.none {
		return idle
	}
	return s.scope.fingerprint()
}

// beIdle takes the place of opening: no event is waited for, so every time counts
// as passed.
func (st *stream) beIdle(ctx context.Context) error {
	now, err := st.s.serverTime(ctx)
	if err != nil {
		return err
	}
	st.at = mark{time: now, passed: endOfTime()}
	st.prove()
	return nil
}

// idle takes the place of reading: it returns when something changed.
func (st *stream) idle(ctx context.Context) error {
	st.s.mu.Lock()
	changed := st.s.changed
	st.s.mu.Unlock()
	if st.s.finished(st.at.passed) {
		return nil
	}
	return st.s.wait(ctx, changed)
}
