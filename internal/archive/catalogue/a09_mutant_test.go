package catalogue

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// What was erased is on record before it is gone, so that a kill leaves none
// without one.
func TestA9RecordBeforeTheRemoval(t *testing.T) {
	s, m := memoryShelf(t)
	put(t, s, spec{id: "p1", at: 1, docs: []bson.Raw{doc(t, "a", 1), doc(t, "erase-me", 1)}})
	removals := 0
	m.locked = func(key string) bool {
		removals++
		for k := range m.objects {
			if strings.HasPrefix(k, auditDir+"/") {
				return false
			}
		}
		t.Errorf("%s is removed, and there is no record yet", key)
		return false
	}
	f, err := s.Forget(t.Context(), ForgetOptions{IDs: []bson.RawValue{idValue(t, "erase-me")}})
	if err != nil || f.Documents != 1 || removals < 3 {
		t.Errorf("%+v %v, %d removals", f, err, removals)
	}
}

// The record proves to who knows the key that it was erased, and tells nobody
// else what it was.
func TestA9RecordTellsNoKey(t *testing.T) {
	s, m := memoryShelf(t)
	family(t, s)
	f, err := s.Forget(t.Context(), ForgetOptions{IDs: []bson.RawValue{idValue(t, "erase-me")}})
	if err != nil || len(f.Audit) != 3 {
		t.Fatalf("%+v %v", f, err)
	}
	for _, text := range []string{"erase-me", hex.EncodeToString([]byte("erase-me"))} {
		for _, key := range f.Audit {
			if bytes.Contains(m.objects[key], []byte(text)) {
				t.Errorf("%s tells the key: %s", key, m.objects[key])
			}
		}
	}
}
