package shapes

import (
	"bytes"
	"testing"
)

func TestShapesHaveTheirSizesAndAreValid(t *testing.T) {
	fields := map[string]int{"small": 15, "wide": 300}
	for _, s := range All() {
		for i := range 50 {
			doc := s.Make(i)
			if len(doc) != s.Bytes {
				t.Fatalf("%s %d: %d bytes, want %d", s.Name, i, len(doc), s.Bytes)
			}
			if err := doc.Validate(); err != nil {
				t.Fatalf("%s %d: %v", s.Name, i, err)
			}
			if !bytes.Equal(doc, s.Make(i)) {
				t.Fatalf("%s %d differs from itself", s.Name, i)
			}
		}
		elems, err := s.Make(0).Elements()
		if err != nil {
			t.Fatal(err)
		}
		if want := fields[s.Name]; want != 0 && len(elems) != want {
			t.Errorf("%s has %d fields, want %d", s.Name, len(elems), want)
		}
		if s.Make(0).Lookup("_id").ObjectID() == s.Make(1).Lookup("_id").ObjectID() {
			t.Errorf("%s: two documents with one _id", s.Name)
		}
	}
}
