package transcode

import (
	"errors"
	"reflect"
)

// Style is how a document is rendered as a whole. The empty value is StyleNative.
type Style string

// The styles.
const (
	// StyleNative: fields in their order, and the formats that Options name.
	StyleNative Style = "native"
	// StyleMonstache: the bytes that Monstache 6 sends, which decodes a document
	// into Go maps and writes these by encoding/json. Names are sorted, and come as
	// they are. Nothing of Fields works with it.
	StyleMonstache Style = "monstache"
)

var (
	errStyle      = errors.New("the style monstache goes with none of them: documents are written as Monstache writes them")
	errStyleOther = errors.New("non_finite: the style monstache takes remove and reject alone")
	errNotFinite  = rejected("it holds NaN or an infinity")
	errYear       = rejected("it holds NaN, an infinity, or a date outside of the years 0 to 9999")
)

// checkMonstache looks at what stands beside the style.
func (o Options) checkMonstache(f Fields) error {
	if o.Dates != "" || o.Decimal != "" || o.BadNames != "" || !reflect.DeepEqual(f, Fields{}) {
		return errStyle
	}
	if o.NonFinite == NonFiniteNull || o.NonFinite == NonFiniteString {
		return errStyleOther
	}
	return nil
}
