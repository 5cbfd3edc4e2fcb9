package scriptmongo

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Reply is what one getMore of a change stream brings.
type Reply struct {
	Events []Event
	// Raw are events rendered already, after Events; for benchmarks.
	Raw []bson.Raw
	// HighWater, if set, is the time of the post-batch resume token: the stream
	// has passed all before it. Without it the token is the last event's, or
	// the one before.
	HighWater bson.Timestamp
	// PostBatch is the post-batch resume token itself; for odd ones.
	PostBatch string
	// Err is sent instead; CloseConnection closes the connection.
	Err error
	// Wait is waited for before the reply is sent. The reply is spent all the
	// same when the client goes away meanwhile, as on a real server.
	Wait <-chan struct{}
	// End closes the cursor with this reply, as after an invalidate.
	End bool
}

// Open is how a change stream was opened.
type Open struct {
	Command Command
	// Scope is "db.coll", "db", or "" for the whole deployment.
	Scope string
	// Stage is the content of $changeStream, Pipeline the whole pipeline.
	Stage, Pipeline bson.Raw
	// ResumeAfter and StartAfter are the _data of the tokens, StartAt the time.
	ResumeAfter, StartAfter string
	StartAt                 bson.Timestamp
}

// Stream appends replies to the script.
func (s *Server) Stream(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, replies...)
	close(s.wake)
	s.wake = make(chan struct{})
}

// Generate gives replies when the script is used up; false from next means
// none for now. It is called with the server locked, one call at a time.
func (s *Server) Generate(next func() (Reply, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generate = next
	close(s.wake)
	s.wake = make(chan struct{})
}

// Pending is how many replies of the script have not been sent.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.script)
}

// Opens returns the change streams opened so far, without those that
// Fail("aggregate", …) refused.
func (s *Server) Opens() []Open {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Open(nil), s.opens...)
}

// openStream answers an aggregate with $changeStream.
func (s *Server) openStream(c Command, stage bson.Raw) (bson.D, error) {
	o := Open{Command: c, Scope: scope(c), Stage: stage, Pipeline: c.Doc.Lookup("pipeline").Value}
	o.ResumeAfter, _ = stage.Lookup("resumeAfter", "_data").StringValueOK()
	o.StartAfter, _ = stage.Lookup("startAfter", "_data").StringValueOK()
	o.StartAt.T, o.StartAt.I, _ = stage.Lookup("startAtOperationTime").TimestampOK()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens = append(s.opens, o)
	token := HighWater(bson.Timestamp{T: s.clock.T, I: s.clock.I + 1})
	switch {
	case o.ResumeAfter != "":
		token = o.ResumeAfter
	case o.StartAfter != "":
		token = o.StartAfter
	case !o.StartAt.IsZero():
		token = HighWater(o.StartAt)
	}
	cur := s.newCursor(cursorNS(c))
	cur.stream, cur.token = true, token
	return cur.page("firstBatch", nil), nil
}

func scope(c Command) string {
	if coll, ok := c.Doc.Lookup("aggregate").StringValueOK(); ok {
		return c.DB + "." + coll
	}
	if c.DB == "admin" {
		return ""
	}
	return c.DB
}

// nextEvents waits for the next reply of the script, as long as the getMore says.
func (s *Server) nextEvents(cur *cursor, maxWait time.Duration) (bson.D, error) {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	for {
		s.mu.Lock()
		reply, ok := s.takeReply()
		wake := s.wake
		s.mu.Unlock()
		if ok {
			return s.send(cur, reply)
		}
		select {
		case <-wake:
		case <-timer.C:
			return s.send(cur, Reply{})
		case <-s.quit:
			return nil, CloseConnection
		}
	}
}

func (s *Server) takeReply() (Reply, bool) {
	if len(s.script) > 0 {
		r := s.script[0]
		s.script = s.script[1:]
		return r, true
	}
	if s.generate != nil {
		return s.generate()
	}
	return Reply{}, false
}

func (s *Server) send(cur *cursor, r Reply) (bson.D, error) {
	if r.Wait != nil {
		select {
		case <-r.Wait:
		case <-s.quit:
			return nil, CloseConnection
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Err != nil {
		delete(s.cursors, cur.id)
		return nil, r.Err
	}
	events, err := s.render(r)
	if err != nil {
		return nil, err
	}
	if n := len(events); n > 0 {
		cur.token, _ = events[n-1].Lookup("_id", "_data").StringValueOK()
	}
	if !r.HighWater.IsZero() {
		s.advance(r.HighWater)
		cur.token = HighWater(r.HighWater)
	}
	if r.PostBatch != "" {
		cur.token = r.PostBatch
	}
	if r.End {
		delete(s.cursors, cur.id)
		cur.id = 0
	}
	return cur.page("nextBatch", events), nil
}

func (s *Server) render(r Reply) ([]bson.Raw, error) {
	events := make([]bson.Raw, 0, len(r.Events)+len(r.Raw))
	for _, e := range r.Events {
		s.advance(e.Time)
		s.seq++
		raw, err := e.Raw(s.seq)
		if err != nil {
			return nil, err
		}
		events = append(events, raw)
	}
	return append(events, r.Raw...), nil
}
