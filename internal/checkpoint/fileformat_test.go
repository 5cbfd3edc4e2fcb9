package checkpoint

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFileFormatRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		revision := rapid.Uint64().Draw(t, "revision")
		fence := rapid.Int64().Draw(t, "fence")
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		file, rev := encodeFile(revision, fence, data)
		rec, gotRevision, err := decodeFile(file)
		if err != nil || gotRevision != revision || rec.Rev != rev || rec.Fence != fence || !bytes.Equal(rec.Data, data) {
			t.Fatalf("%+v %d %v", rec, gotRevision, err)
		}
	})
}

func TestFileFormatFindsEveryTear(t *testing.T) {
	file, rev := encodeFile(12, 3, []byte(`{"format":1,"flow":"shop","position":{"t":17}}`))
	for cut := range file {
		if _, _, err := decodeFile(file[:cut]); !errors.Is(err, errTorn) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	for at := range file {
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[at] ^= 1 << bit
			rec, _, err := decodeFile(bad)
			// A hexadecimal digit reads the same in the other case.
			if err == nil && rec.Rev != rev {
				t.Fatalf("byte %d bit %d: taken as %+v", at, bit, rec)
			}
		}
	}
	if _, _, err := decodeFile(append(file, 'x')); !errors.Is(err, errTorn) {
		t.Fatalf("one byte more: %v", err)
	}
}

func TestFileFormatRefusesANewerOne(t *testing.T) {
	for _, file := range []string{
		"sluice-state 2 whatever comes then\n{}",
		"sluice-state 999",
		strings.Replace(mustEncode(t), " 1 ", " 2 ", 1),
	} {
		if _, _, err := decodeFile([]byte(file)); !errors.Is(err, ErrNewer) {
			t.Errorf("%q: %v, want ErrNewer", file, err)
		}
	}
}

// The files of every format that was ever released are read for ever.
func TestFileFormatGolden(t *testing.T) {
	const v1 = "sluice-state 1 7 3 15 c1251675\n{\"flow\":\"shop\"}"
	file, _ := encodeFile(7, 3, []byte(`{"flow":"shop"}`))
	if string(file) != v1 {
		t.Errorf("format 1 is now written as %q", file)
	}
	rec, revision, err := decodeFile([]byte(v1))
	if err != nil || revision != 7 || rec.Fence != 3 || string(rec.Data) != `{"flow":"shop"}` {
		t.Errorf("format 1: %+v %d %v", rec, revision, err)
	}
}

func FuzzDecodeFile(f *testing.F) {
	f.Add([]byte(mustEncode(f)))
	f.Add([]byte("sluice-state 1 1 1 0 00000000\n"))
	f.Add([]byte("sluice-state 1 1 1 -1 00000000\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, file []byte) {
		rec, revision, err := decodeFile(file)
		if err != nil {
			return
		}
		if _, rev := encodeFile(revision, rec.Fence, rec.Data); rev == "" {
			t.Fatal("no Rev")
		}
	})
}

func mustEncode(t testing.TB) string {
	t.Helper()
	file, _ := encodeFile(1, 1, []byte("{}"))
	return string(file)
}
