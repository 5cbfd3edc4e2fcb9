package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// errTorn says that an answer is cut short or is no answer to what was sent.
var errTorn = errors.New("the answer is not whole, or not the answer to this request")

// result is what a bulk answer says of one item.
type result struct {
	op     []byte // index or delete
	status int
	index  []byte // the concrete index; only for deletes
	err    []byte // the error object, raw; nil for none
}

// allDone tells whether an answer, as a whole, says that n items are done. It
// is the fast path: false means only that a closer look is needed. Without
// errors an answer holds no text of others that could look like a status.
func allDone(ans []byte, n int) bool {
	return bytes.HasPrefix(ans, []byte(`{"errors":false,"items":[{`)) && bytes.HasSuffix(ans, []byte(`}}]}`)) &&
		bytes.Count(ans, []byte(`"status":`)) == n
}

// eachResult calls f for every item of a bulk answer, in order. An answer that
// is no whole JSON value or has not n items gives errTorn; f may have been
// called by then.
func eachResult(ans []byte, n int, f func(i int, r result) error) error {
	if !json.Valid(ans) {
		return errTorn
	}
	found, i := false, 0
	s := scanner{b: ans}
	err := s.object(func(key []byte) error {
		if string(key) != "items" {
			s.skip()
			return nil
		}
		found = true
		return s.array(func() error {
			r, err := s.result()
			if err != nil {
				return err
			}
			if i++; i > n {
				return errTorn
			}
			return f(i-1, r)
		})
	})
	if err != nil {
		return err
	}
	if !found || i != n {
		return fmt.Errorf("%w: it has %d items for %d", errTorn, i, n)
	}
	return nil
}

// scanner walks through JSON that is known to be valid.
type scanner struct {
	b []byte
	i int
}

// peek returns the next byte that is no white space, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r', ',', ':':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// object calls f for each key; f consumes the value.
func (s *scanner) object(f func(key []byte) error) error {
	if s.peek() != '{' {
		return errTorn
	}
	s.i++
	for s.peek() == '"' {
		if err := f(s.text()); err != nil {
			return err
		}
	}
	if s.peek() != '}' {
		return errTorn
	}
	s.i++
	return nil
}

// array calls f for each value, which f consumes.
func (s *scanner) array(f func() error) error {
	if s.peek() != '[' {
		return errTorn
	}
	s.i++
	for s.peek() != ']' {
		if s.i >= len(s.b) {
			return errTorn
		}
		if err := f(); err != nil {
			return err
		}
	}
	s.i++
	return nil
}

// text consumes a string and returns what is between its quotes, as it is.
func (s *scanner) text() []byte {
	if s.peek() != '"' {
		return nil
	}
	start := s.i + 1
	for s.i = start; s.i < len(s.b) && s.b[s.i] != '"'; s.i++ {
		if s.b[s.i] == '\\' {
			s.i++
		}
	}
	end := min(s.i, len(s.b))
	s.i = min(end+1, len(s.b))
	return s.b[start:end]
}

// skip consumes any value and returns its bytes.
func (s *scanner) skip() []byte {
	c := s.peek()
	start := s.i
	switch c {
	case '"':
		s.text()
	case '{', '[':
		depth := 0
		for s.i < len(s.b) {
			switch s.b[s.i] {
			case '"':
				s.text()
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			s.i++
			if depth == 0 {
				break
			}
			if depth < 0 {
				return nil
			}
		}
	default:
		for s.i < len(s.b) && bytes.IndexByte([]byte(" \t\r\n,]}"), s.b[s.i]) < 0 {
			s.i++
		}
	}
	return s.b[start:s.i]
}

// result consumes one item: {"index":{"status":201}}.
func (s *scanner) result() (r result, err error) {
	err = s.object(func(op []byte) error {
		if r.op != nil {
			return errTorn
		}
		r.op = op
		return s.object(func(key []byte) error {
			switch string(key) {
			case "status":
				n, err := strconv.Atoi(string(s.skip()))
				if err != nil {
					return errTorn
				}
				r.status = n
			case "_index":
				r.index = s.text()
			case "error":
				r.err = s.skip()
			default:
				s.skip()
			}
			return nil
		})
	})
	if err == nil && (r.op == nil || r.status == 0) {
		err = errTorn
	}
	return r, err
}
