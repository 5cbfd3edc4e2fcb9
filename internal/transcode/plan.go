package transcode

import (
	"math"
	"math/rand/v2"
	"sync"
)

// Plan is compiled Options and Fields. It is immutable and safe for concurrent use.
type Plan struct {
	root          *rule
	anchors       int
	lower         bool
	onError       OnError
	monstache     bool
	dateMillis    bool
	decimalNumber bool
	nonFinite     NonFiniteFormat
	rejectNames   bool
	// seed makes the hashes of names differ between plans, so that nobody can
	// prepare documents whose names collide. It shows in no output.
	seed   uint64
	powers powers
	// pool keeps scratch; nothing of it outlives an Append.
	pool *sync.Pool
}

// Compile checks options and field rules and makes a plan of them. Its errors
// name the option, path or pair of paths at fault, in words for who wrote the
// configuration.
func Compile(o Options, f Fields) (*Plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Style == StyleMonstache {
		if err := o.checkMonstache(f); err != nil {
			return nil, err
		}
	}
	seed := rand.Uint64()
	root, anchors, err := f.compile(seed)
	if err != nil {
		return nil, err
	}
	return &Plan{
		root:          root,
		anchors:       anchors,
		lower:         f.LowerNames,
		onError:       f.OnError,
		monstache:     o.Style == StyleMonstache,
		dateMillis:    o.Dates == DatesEpochMillis,
		decimalNumber: o.Decimal == DecimalsNumber,
		nonFinite:     o.NonFinite,
		rejectNames:   o.BadNames == BadNamesReject,
		seed:          seed,
		powers:        makePowers(),
		pool:          new(sync.Pool),
	}, nil
}

func nan() float64 { return math.NaN() }

func infinity(negative bool) float64 {
	if negative {
		return math.Inf(-1)
	}
	return math.Inf(1)
}
