package transcode

import (
	"errors"
	"fmt"
	"slices"
)

// DateFormat says how dates are written. The empty value is DatesISO8601.
type DateFormat string

// The formats of dates.
const (
	// DatesISO8601: "2024-05-01T12:00:00.000Z"; milliseconds since 1970 as a
	// number for the years that four digits can't tell.
	DatesISO8601 DateFormat = "iso8601"
	// DatesEpochMillis: milliseconds since 1970 as a number, always.
	DatesEpochMillis DateFormat = "epoch_millis"
)

// DecimalFormat says how Decimal128 is written. The empty value is DecimalsString.
type DecimalFormat string

// The formats of decimals.
const (
	DecimalsString DecimalFormat = "string"
	DecimalsNumber DecimalFormat = "number"
)

// NonFiniteFormat says how NaN and the infinities are written. The empty
// value is NonFiniteNull.
type NonFiniteFormat string

// The formats of what is no finite number.
const (
	NonFiniteNull   NonFiniteFormat = "null"
	NonFiniteString NonFiniteFormat = "string"
	// NonFiniteRemove leaves out the field or the element of an array.
	NonFiniteRemove NonFiniteFormat = "remove"
	// NonFiniteReject: the document fails with ErrRejected.
	NonFiniteReject NonFiniteFormat = "reject"
)

// BadNames says what becomes of field names that search engines refuse. The
// empty value is BadNamesRepair.
type BadNames string

// The ways to deal with bad names.
const (
	BadNamesRepair BadNames = "repair"
	// BadNamesReject: the document fails with ErrRejected.
	BadNamesReject BadNames = "reject"
)

// Options are the formats of values that have no equal in JSON. The zero value
// is good.
type Options struct {
	Dates     DateFormat
	Decimal   DecimalFormat
	NonFinite NonFiniteFormat
	BadNames  BadNames
	// Style is the rendering as a whole. With StyleMonstache the others are empty,
	// but for NonFinite.
	Style Style
}

// Stats counts what could not be written as it is. It belongs to the caller
// and is not synchronised; Append only adds.
type Stats struct {
	// InvalidUTF8 counts texts and names in which bytes became U+FFFD.
	InvalidUTF8 uint64
	// DuplicateKeys counts fields that were left out because an earlier one of
	// the same object has the same name.
	DuplicateKeys uint64
	// RepairedNames counts field names that were changed because engines refuse them.
	RepairedNames uint64
	// NonFinite counts NaN and infinities, of doubles, decimals and vectors; with
	// StyleMonstache also dates that four digits can't tell the year of.
	NonFinite uint64
	// CastErrors counts values that could not be cast, and were written as null or
	// as they are.
	CastErrors uint64
}

// ErrCorrupt is what errors.Is finds when a document is not valid BSON.
var ErrCorrupt = errors.New("the document is no valid BSON")

// ErrRejected is what errors.Is finds when a document is valid, and can't be
// written: a field name that engines refuse (BadNamesReject), a value that can't
// be cast (OnErrorReject), no finite number (NonFiniteReject), nesting beyond what
// MongoDB stores.
var ErrRejected = errors.New("the document can't be written")

func corrupt(what string, at int) error {
	return fmt.Errorf("%w: %s at byte %d", ErrCorrupt, what, at)
}

func rejected(what string) error {
	return fmt.Errorf("%w: %s", ErrRejected, what)
}

func (o Options) check() error {
	switch {
	case o.Dates != "" && o.Dates != DatesISO8601 && o.Dates != DatesEpochMillis:
		return fmt.Errorf("dates: %q is neither iso8601 nor epoch_millis", o.Dates)
	case o.Decimal != "" && o.Decimal != DecimalsString && o.Decimal != DecimalsNumber:
		return fmt.Errorf("decimals: %q is neither string nor number", o.Decimal)
	case o.Style != "" && o.Style != StyleNative && o.Style != StyleMonstache:
		return fmt.Errorf("style: %q is neither native nor monstache", o.Style)
	case !slices.Contains([]NonFiniteFormat{"", NonFiniteNull, NonFiniteString, NonFiniteRemove, NonFiniteReject}, o.NonFinite):
		return fmt.Errorf("non_finite: %q is none of null, string, remove and reject", o.NonFinite)
	case o.BadNames != "" && o.BadNames != BadNamesRepair && o.BadNames != BadNamesReject:
		return fmt.Errorf("bad_names: %q is neither repair nor reject", o.BadNames)
	}
	return nil
}
