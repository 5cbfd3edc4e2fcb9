package leasetest

import (
	"testing"

	"go.uber.org/goleak"

	"sluice/internal/lease"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	places := map[string]*Memory{}
	TestStore(t, func(t testing.TB) lease.Store {
		if places[t.Name()] == nil {
			places[t.Name()] = NewMemory()
		}
		return places[t.Name()]
	})
}
