package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/flow"
)

// However often something fails, each cause has one line a second, which tells
// how many it stands for.
func TestS7OneLineASecondPerCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newErrlog(slog.New(slog.NewJSONHandler(&out, nil)))
		for range 3000 { // three seconds
			for _, cause := range []string{"rejected", "disk_full"} {
				l.warn(cause, cause)
			}
			time.Sleep(time.Millisecond)
		}
		lines, stood := map[string]int{}, map[string]int{}
		for line := range strings.Lines(out.String()) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			cause := m["msg"].(string)
			lines[cause]++
			stood[cause]++
			if n, ok := m[flow.LogCount].(float64); ok {
				stood[cause] += int(n) - 1
			}
		}
		for _, cause := range []string{"rejected", "disk_full"} {
			if lines[cause] != 3 || stood[cause] != 2001 {
				t.Errorf("%s: %d lines stand for %d failures", cause, lines[cause], stood[cause])
			}
		}
		for i := range 10 * maxCauses { // causes come from the engine
			l.warn(fmt.Sprint(i), "one of many")
		}
		if len(l.seen) > maxCauses {
			t.Errorf("%d causes are remembered", len(l.seen))
		}
	})
}
