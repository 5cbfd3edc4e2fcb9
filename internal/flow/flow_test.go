package flow

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"pgregory.net/rapid"
)

func TestS1VersionsOrderAsClusterTimes(t *testing.T) {
	draw := func(t *rapid.T, name string) bson.Timestamp {
		return bson.Timestamp{T: rapid.Uint32Range(VersionEpoch, VersionEpoch+math.MaxInt32).Draw(t, name), I: rapid.Uint32().Draw(t, name+" increment")}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		va, errA := VersionOf(a)
		vb, errB := VersionOf(b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.Before(b) != (va < vb) || a.Equal(b) != (va == vb) {
			t.Fatalf("%v and %v order otherwise than %d and %d", a, b, va, vb)
		}
		if back := TimeOfVersion(va); !back.Equal(a) {
			t.Fatalf("%v became %v", a, back)
		}
	})
}

func TestS1VersionFitsALongUntil2088(t *testing.T) {
	last := time.Date(2088, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	v, err := VersionOf(bson.Timestamp{T: uint32(last), I: math.MaxUint32})
	if err != nil || v <= 0 {
		t.Fatalf("%d, %v", v, err)
	}
	if _, err := VersionOf(bson.Timestamp{T: VersionEpoch - 1, I: 1}); err == nil {
		t.Fatal("a time before 2020 got a version")
	}
}

func TestParseNamespace(t *testing.T) {
	f := func(in, db, coll string, ok bool) {
		t.Helper()
		ns, got := ParseNamespace(in)
		if ns.DB != db || ns.Coll != coll || got != ok {
			t.Errorf("%q: %+v, %v", in, ns, got)
		}
		if ok && ns.String() != in {
			t.Errorf("%q came back as %q", in, ns)
		}
	}
	f("shop.orders", "shop", "orders", true)
	f("shop.orders.2024", "shop", "orders.2024", true)
	f("shop", "", "", false)
	f(".orders", "", "", false)
	f("shop.", "", "", false)
}

func TestErrorTellsEverything(t *testing.T) {
	cause := errors.New("connection refused")
	err := fmt.Errorf("flow a: %w", &Error{Op: "open", Object: "shop.orders", Err: &Error{Op: "connect", Class: Transient, Err: cause, Hint: "is it up?\nlook"}})
	if got, want := err.Error(), "flow a: open shop.orders: connect: connection refused\n  is it up?\n  look"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if ClassOf(err) != Transient || !errors.Is(err, cause) {
		t.Errorf("class %v", ClassOf(err))
	}
	if ClassOf(cause) != Unknown || ClassOf(nil) != Unknown {
		t.Error("a class from nowhere")
	}
}
