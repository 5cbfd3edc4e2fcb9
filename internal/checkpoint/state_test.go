package checkpoint

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"sluice/internal/flow"
)

func TestStateRoundTrip(t *testing.T) {
	f := func(s State) {
		t.Helper()
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeState(data)
		if err != nil {
			t.Fatal(err)
		}
		s.Format = StateFormat
		if !reflect.DeepEqual(got, s) {
			t.Errorf("%+v came back as %+v", s, got)
		}
		again, _ := got.Encode()
		if string(again) != string(data) {
			t.Errorf("%s is now %s", data, again)
		}
	}
	f(State{})
	f(State{
		Flow: "shop", Source: "65f0", Owner: "me", Position: json.RawMessage(`{"token":"8263","n":9007199254740993}`),
		Fingerprints: map[string]string{"shop.orders": "a1", "shop.Kunden.é": "b2"},
		Targets:      map[string]string{"shop.orders": "uuid"},
	})
}

func TestDecodeStateOfNothing(t *testing.T) {
	for _, data := range [][]byte{nil, {}} {
		if s, err := DecodeState(data); err != nil || s.Format != 0 || s.Position != nil {
			t.Fatalf("%+v %v", s, err)
		}
	}
}

func TestDecodeStateRefuses(t *testing.T) {
	f := func(data, says string, newer bool) {
		t.Helper()
		_, err := DecodeState([]byte(data))
		if flow.ClassOf(err) != flow.Fatal || errors.Is(err, ErrNewer) != newer || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", data, err)
		}
	}
	f(`{"format":2,"flow":["another","shape"]}`, "run the newer sluice again", true)
	f(`{"format":0}`, "format 0 has never been", false)
	f(`{"flow":"shop"}`, "format 0 has never been", false)
	f(`{"format":1,"flow":7}`, "restore it from a backup", false)
	f(`{"form`, "restore it from a backup", false)
	f(`[]`, "restore it from a backup", false)
}

// A state of format 1 is read for ever.
func TestStateGolden(t *testing.T) {
	const v1 = `{"format":1,"flow":"shop","source":"r","fingerprints":{"a.b":"f"},"targets":{"a.b":"u"},"position":{"x":1},"owner":"o"}`
	s, err := DecodeState([]byte(v1))
	if err != nil || s.Flow != "shop" || s.Source != "r" || s.Fingerprints["a.b"] != "f" || s.Targets["a.b"] != "u" ||
		string(s.Position) != `{"x":1}` || s.Owner != "o" {
		t.Fatalf("%+v %v", s, err)
	}
	if data, err := s.Encode(); err != nil || string(data) != v1 {
		t.Fatalf("format 1 is now written as %s, %v", data, err)
	}
}
