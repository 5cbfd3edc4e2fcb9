package scriptsearch

import (
	"fmt"
	"net/http"
	"time"
)

// Answer is an HTTP answer that the script gives.
type Answer struct {
	Status int
	Body   string
	Header http.Header
}

// ItemAnswer is the answer to one action.
type ItemAnswer struct {
	Status int
	// Type and Reason are those of the error; without Type there is none.
	Type, Reason string
}

// Step says what happens to a bulk request. Its parts apply in their order
// here; the zero value is the plain answer.
type Step struct {
	// When picks the requests that the step is for; nil is every one.
	When func(*Bulk) bool
	// Times is how many requests the step serves; 0 is one.
	Times int
	// Delay passes, or Wait is closed, before anything is done.
	Delay time.Duration
	Wait  <-chan struct{}
	// Drop closes the connection; nothing was written.
	Drop bool
	// Whole answers the request as a whole; nothing was written.
	Whole *Answer
	// Item answers single actions, which are then not carried out; nil from it
	// carries the action out.
	Item func(i int, a Action) *ItemAnswer
	// Hang: the actions are carried out, no answer ever comes.
	Hang bool
	// Lose: the actions are carried out, the connection is closed without an answer.
	Lose bool
	// Cut: the actions are carried out, the answer ends after CutAt bytes of
	// its body and the connection is closed.
	Cut   bool
	CutAt int
	// Mangle changes the body of the answer.
	Mangle func(body []byte) []byte
}

// Pick chooses actions of a bulk; All and Nth make some.
type Pick func(i int, a Action) bool

// All picks every action.
func All(int, Action) bool { return true }

// Nth picks the actions at these places, counted from 0.
func Nth(places ...int) Pick {
	return func(i int, _ Action) bool {
		for _, p := range places {
			if p == i {
				return true
			}
		}
		return false
	}
}

// ID picks the actions for a document id.
func ID(id string) Pick { return func(_ int, a Action) bool { return a.ID == id } }

// Items is a step that gives the picked actions an answer.
func Items(pick Pick, answer ItemAnswer) Step {
	return Step{Item: func(i int, a Action) *ItemAnswer {
		if !pick(i, a) {
			return nil
		}
		return &answer
	}}
}

// RejectItems: the write queue is full, 429 per action.
func RejectItems(pick Pick) Step {
	return Items(pick, ItemAnswer{
		http.StatusTooManyRequests, "rejected_execution_exception",
		"rejected execution of coordinating operation [coordinating_and_primary_bytes=0, max_coordinating_and_primary_bytes=1]",
	})
}

// FloodStage: the disk is full, 429 per action.
func FloodStage(pick Pick) Step {
	return Items(pick, ItemAnswer{
		http.StatusTooManyRequests, "cluster_block_exception",
		"index [i] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];",
	})
}

// Blocked: index.blocks.write, 403 per action.
func Blocked(pick Pick) Step {
	return Items(pick, ItemAnswer{
		http.StatusForbidden, "cluster_block_exception",
		"index [i] blocked by: [FORBIDDEN/8/index write (api)];",
	})
}

// Closed: the index is closed, 400 per action.
func Closed(pick Pick) Step {
	return Items(pick, ItemAnswer{http.StatusBadRequest, "index_closed_exception", "closed"})
}

// Denied: no right to write, 403 per action.
func Denied(pick Pick) Step {
	return Items(pick, ItemAnswer{
		http.StatusForbidden, "security_exception",
		"no permissions for [indices:data/write/bulk[s]] and User [name=u]",
	})
}

// Unmappable: the document does not fit the mapping, 400 per action, with the
// error type of the product.
func (s *Server) Unmappable(pick Pick) Step {
	return Items(pick, ItemAnswer{
		http.StatusBadRequest, s.opts.Product.parsingError(),
		"failed to parse field [f] of type [long] in document with id '1'. Preview of field's value: 'x'",
	})
}

// Whole is a step that answers the request with an engine's error.
func Whole(status int, errorType, reason string) Step {
	return Step{Whole: &Answer{Status: status, Body: errorBody(status, errorType, reason)}}
}

// Reject: the engine has no room for the request, 429 as a whole.
func Reject() Step {
	return Whole(http.StatusTooManyRequests, "rejected_execution_exception", "rejected execution of coordinating operation")
}

// TooLarge: 413 as the engines send it, without a body.
func TooLarge() Step { return Step{Whole: &Answer{Status: http.StatusRequestEntityTooLarge}} }

// BadGateway: a proxy in between has lost the engine; its answer is HTML.
func BadGateway() Step {
	return Step{Whole: &Answer{
		Status: http.StatusBadGateway, Body: "<html><body><h1>502 Bad Gateway</h1></body></html>",
		Header: http.Header{"Content-Type": {"text/html"}},
	}}
}

// Hang never answers; the actions are carried out.
func Hang() Step { return Step{Hang: true} }

// Drop closes the connection before anything is done.
func Drop() Step { return Step{Drop: true} }

// Lose carries the actions out and closes the connection without an answer.
func Lose() Step { return Step{Lose: true} }

// CutAt carries the actions out and cuts the answer after n bytes.
func CutAt(n int) Step { return Step{Cut: true, CutAt: n} }

func errorBody(status int, errorType, reason string) string {
	cause := fmt.Sprintf(`"type":%q,"reason":%q`, errorType, reason)
	return fmt.Sprintf(`{"error":{"root_cause":[{%s}],%s},"status":%d}`, cause, cause, status)
}
