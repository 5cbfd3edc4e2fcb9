package transcode

import "math/bits"

// decimal is the value of a Decimal128: hi*1e17+lo times ten to the power of exp.
type decimal struct {
	kind     decimalKind
	negative bool
	// hi and lo are the upper and lower 17 digits of the coefficient.
	hi, lo uint64
	exp    int
}

type decimalKind uint8

const (
	decimalFinite decimalKind = iota
	decimalInfinite
	decimalNaN
)

const ten17 = 100000000000000000

// decimalOf takes the two halves of a Decimal128 apart. A coefficient of more
// than 34 digits counts as zero, as IEEE 754 says.
func decimalOf(h, l uint64) decimal {
	d := decimal{negative: h>>63 != 0}
	switch combination := h >> 58 & 31; {
	case combination == 31:
		d.kind = decimalNaN
		return d
	case combination == 30:
		d.kind = decimalInfinite
		return d
	case combination >= 24:
		// The other form has coefficients of 2 to the power of 113 and more only.
		d.exp = int(h>>47&0x3fff) - 6176
		return d
	}
	d.exp = int(h>>49&0x3fff) - 6176
	h &= 1<<49 - 1
	if h == 0 && l < ten17 {
		d.lo = l
		return d
	}
	if h > 0x1ed09bead87c0 || h == 0x1ed09bead87c0 && l > 0x378d8e63ffffffff {
		return d
	}
	// h < ten17, so the quotient fits.
	d.hi, d.lo = bits.Div64(h, l, ten17)
	return d
}

// decimal writes a Decimal128 by the plan's format.
func (e *encoder) decimal(out []byte, n int, h, l uint64) int {
	d := decimalOf(h, l)
	switch d.kind {
	case decimalNaN:
		return e.notFinite(out, n, nan())
	case decimalInfinite:
		return e.notFinite(out, n, infinity(d.negative))
	}
	if e.plan.decimalNumber {
		return putDecimal(out, n, d)
	}
	out[n] = '"'
	n = putDecimal(out, n+1, d)
	out[n] = '"'
	return n + 1
}

// putDecimal writes a finite decimal as its specification says: all digits,
// zeros at the end included; with an exponent where that is above zero or the
// point lies more than six places before the digits. At most 42 bytes.
func putDecimal(out []byte, n int, d decimal) int {
	if d.negative {
		out[n] = '-'
		n++
	}
	var text [40]byte
	var digits int
	if d.hi > 0 {
		digits = putUint(text[:], 0, d.hi)
		digits = put17(text[:], digits, d.lo)
	} else {
		digits = putUint(text[:], 0, d.lo)
	}
	point := digits + d.exp
	switch {
	case d.exp > 0 || point < -5:
		out[n] = text[0]
		n++
		if digits > 1 {
			out[n] = '.'
			n += 1 + copy(out[n+1:], text[1:digits])
		}
		store16(out, n, 'E'|'+'<<8)
		if point -= 1; point < 0 {
			out[n+1] = '-'
			point = -point
		}
		return putUint(out, n+2, uint64(point))
	case d.exp == 0:
		return n + copy(out[n:], text[:digits])
	case point > 0:
		n += copy(out[n:], text[:point])
		out[n] = '.'
		return n + 1 + copy(out[n+1:], text[point:digits])
	}
	n += copy(out[n:], "0."+"000000"[:-point])
	return n + copy(out[n:], text[:digits])
}

// put17 writes v < 1e17 as 17 digits.
func put17(out []byte, n int, v uint64) int {
	out[n] = '0' + byte(v/10000000000000000)
	v %= 10000000000000000
	store64(out, n+1, dig8(uint32(v/100000000))+zeros8)
	store64(out, n+9, dig8(uint32(v%100000000))+zeros8)
	return n + 17
}
