package pack

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// docs/archive-format.md names every field, every column and every number of the
// format.
func TestTheDocumentTellsTheFormat(t *testing.T) {
	text, err := os.ReadFile("../../docs/archive-format.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		fmt.Sprintf("`% X`", manifestMagic), fmt.Sprintf("`% X`", le32(skippableMagic)), fmt.Sprintf("`% X`", le32(seekableMagic)),
		fmt.Sprintf("`% X`", endMember(nil)[:10]), fmt.Sprintf("| %d: length of the extra field |", endMember(nil)[10]),
		fmt.Sprintf("%d KiB of BSON", DefaultFrameBytes>>10), fmt.Sprintf("format, now %d", Format),
	}
	for _, tag := range []string{colHashes, colSizes, colFrames, colAges, colIDs, colKeys, colEnd} {
		want = append(want, "`"+strings.ReplaceAll(tag, " ", "␠")+"`")
	}
	for _, of := range []any{headerJSON{}, plainHeader{}, outcomeJSON{}, plainOutcome{}} {
		for i, v := 0, reflect.TypeOf(of); i < v.NumField(); i++ {
			if name, _, _ := strings.Cut(v.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
				want = append(want, "`"+name+"`")
			}
		}
	}
	for _, w := range want {
		if !bytes.Contains(text, []byte(w)) {
			t.Errorf("docs/archive-format.md does not tell %s", w)
		}
	}
}
