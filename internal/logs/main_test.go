package logs

import (
	"testing"

	"go.uber.org/goleak"
)

// The library that rotates keeps a goroutine for each file until the process ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}
