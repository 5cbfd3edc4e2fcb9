package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
)

// Hidden is what is shown in place of a secret.
const Hidden = "***"

// Secret is a value that formats, logs and encodes as ***.
type Secret string

// Reveal returns the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String returns *** for any secret, and nothing for none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Hidden
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and other encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Size is a number of bytes.
type Size int64

// sizeUnits in the order in which String tries them.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"GiB", 1 << 30},
		{"GB", 1e9},
		{"MiB", 1 << 20},
		{"MB", 1e6},
		{"KiB", 1 << 10},
		{"KB", 1e3},
		{"B", 1},
	}
}

type sizeUnit struct {
	name  string
	bytes int64
}

// String writes the size in the largest unit that divides it; ParseSize reads it back.
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range sizeUnits() {
		if int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseSize reads "2MB" (millions), "64MiB" (1024 times 1024), or a plain
// number of bytes. Case doesn't matter, and a fraction is fine: "1.5GB".
func ParseSize(text string) (Size, error) {
	t := strings.TrimSpace(text)
	cut := len(t)
	for cut > 0 && (t[cut-1] < '0' || t[cut-1] > '9') && t[cut-1] != '.' {
		cut--
	}
	unit := strings.TrimSpace(t[cut:])
	factor := int64(1)
	if unit != "" {
		factor = 0
		for _, u := range sizeUnits() {
			if strings.EqualFold(unit, u.name) {
				factor = u.bytes
			}
		}
		if factor == 0 {
			return 0, errors.New("not a size")
		}
	}
	digits := strings.TrimSpace(t[:cut])
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		if n < 0 || n > math.MaxInt64/factor {
			return 0, errors.New("out of range")
		}
		return Size(n * factor), nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.ContainsAny(digits, "eExXpPiInN_+-") || f*float64(factor) >= math.MaxInt64 {
		return 0, fmt.Errorf("not a size")
	}
	return Size(f * float64(factor)), nil
}

// Store names a kind of store.
type Store string

// The kinds of stores.
const (
	StoreFile    Store = "file"
	StoreSearch  Store = "search"
	StoreMongoDB Store = "mongodb"
)

// DateFormat says how dates are written.
type DateFormat string

// The formats of dates.
const (
	DatesISO8601     DateFormat = "iso8601"
	DatesEpochMillis DateFormat = "epoch_millis"
)

// DecimalFormat says how Decimal128 is written.
type DecimalFormat string

// The formats of decimals.
const (
	DecimalsString DecimalFormat = "string"
	DecimalsNumber DecimalFormat = "number"
)

// NonFiniteFormat says how NaN and the infinities are written.
type NonFiniteFormat string

// The formats of numbers that JSON doesn't have.
const (
	NonFiniteNull   NonFiniteFormat = "null"
	NonFiniteString NonFiniteFormat = "string"
	NonFiniteRemove NonFiniteFormat = "remove"
	NonFiniteReject NonFiniteFormat = "reject"
)

// BadNames says what is done with field names that the index can't hold.
type BadNames string

// The ways with bad names.
const (
	BadNamesRepair BadNames = "repair"
	BadNamesReject BadNames = "reject"
)

// CastType is a type that values are cast to.
type CastType string

// The types to cast to.
const (
	CastString  CastType = "string"
	CastLong    CastType = "long"
	CastDouble  CastType = "double"
	CastBoolean CastType = "boolean"
	CastDate    CastType = "date"
)

// CastError says what becomes of a value that can't be cast.
type CastError string

// The ways with values that can't be cast.
const (
	CastReject CastError = "reject"
	CastNull   CastError = "null"
	CastKeep   CastError = "keep"
)

// DeletePolicy says what a delete in MongoDB does to the index.
type DeletePolicy string

// The policies for deletes.
const (
	DeleteRemove DeletePolicy = "remove"
	DeleteKeep   DeletePolicy = "keep"
	DeleteMark   DeletePolicy = "mark"
)

// DropPolicy says what the drop of a collection does to its index.
type DropPolicy string

// The policies for drops.
const (
	DropIgnore    DropPolicy = "ignore"
	DropDocuments DropPolicy = "delete_documents"
	DropIndex     DropPolicy = "delete_index"
)

// LostPolicy says what is done when the oplog no longer reaches back to our position.
type LostPolicy string

// The policies for lost history.
const (
	LostResync LostPolicy = "resync"
	LostStop   LostPolicy = "stop"
)
