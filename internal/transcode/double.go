package transcode

import (
	"math"
	"math/bits"
	"strconv"
)

// putDouble writes a finite double so that it reads back as the same bits, in
// the fewest digits, and always with a point or an exponent: 5.0, for what the
// first document shows decides how an engine maps the field.
func putDouble(out []byte, n int, f float64, p *powers) int {
	if math.Signbit(f) {
		out[n] = '-'
		n++
		f = -f
	}
	if f >= 1<<53 || f < 1e-6 && f != 0 {
		return putShortest(out, n, f)
	}
	if whole := uint64(f); float64(whole) == f {
		n = putUint(out, n, whole)
		store16(out, n, '.'|'0'<<8)
		return n + 2
	}
	if f < 1e9 {
		// What times a power of ten is a whole number of at most 15 digits, and
		// divided again is the same, is that decimal: both steps round once. The
		// division is slow, so it is only done where it may succeed.
		if r, ok := nearly(f * 100); ok && float64(r)/100 == f {
			return putFraction(out, n, r, 100, 2)
		}
		if r, ok := nearly(f * 1e6); ok && float64(r)/1e6 == f {
			return putFraction(out, n, r, 1000000, 6)
		}
	}
	return putSchubfach(out, n, f, p)
}

// nearly returns the whole number next to x, and whether x is that but for rounding.
func nearly(x float64) (uint64, bool) {
	r := uint64(x + 0.5)
	return r, math.Abs(x-float64(r)) < 1e-6
}

// putFraction writes r/scale, scale being ten to the power of places, without
// zeros at the end.
func putFraction(out []byte, n int, r, scale uint64, places int) int {
	whole := r / scale
	n = putUint(out, n, whole)
	out[n] = '.'
	d := dig8(uint32(r-whole*scale)) >> ((8 - places) * 8 & 63)
	store64(out, n+1, d+zeros8)
	return n + 1 + 8 - bits.LeadingZeros64(d)>>3
}

// putShortest writes f > 0 by the standard library.
func putShortest(out []byte, n int, f float64) int {
	if f < 1e-6 || f >= 1e21 {
		return n + len(strconv.AppendFloat(out[n:n], f, 'e', -1, 64))
	}
	n += len(strconv.AppendFloat(out[n:n], f, 'f', -1, 64))
	if f >= 1<<53 {
		store16(out, n, '.'|'0'<<8)
		n += 2
	}
	return n
}

// powers are 10^0 to 10^22, each shifted left until its highest bit is set:
// what putSchubfach needs, and exact.
type powers [23]power

type power struct{ hi, lo uint64 }

func makePowers() powers {
	var p powers
	hi, lo := uint64(0), uint64(1)
	for i := range p {
		shift := uint(bits.LeadingZeros64(hi))
		if hi == 0 {
			shift = 64 + uint(bits.LeadingZeros64(lo))
		}
		p[i] = power{hi<<shift | lo<<(shift-64) | lo>>(64-shift), lo << shift}
		carry, low := bits.Mul64(lo, 10)
		hi, lo = hi*10+carry, low
	}
	return p
}

// times is the upper half of g*c, its lowest bit set where anything lies below.
func (g power) times(c uint64) uint64 {
	x, _ := bits.Mul64(g.lo, c)
	y1, y0 := bits.Mul64(g.hi, c)
	y0, carry := bits.Add64(y0, x, 0)
	y1 += carry
	if y0 > 1 {
		return y1 | 1
	}
	return y1
}

// putSchubfach writes a double of at least 1e-6 and below 2^53, not whole, in
// the fewest digits, of several such decimals the one closest to it. It is
// Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles"), for
// the range in which the powers of ten are exact.
func putSchubfach(out []byte, n int, f float64, p *powers) int {
	b := math.Float64bits(f)
	c := b&(1<<52-1) | 1<<52
	q := int(b>>52) - 1075
	irregular := uint64(0)
	k := q * 1262611 >> 22 // floor(log10(2^q))
	if c == 1<<52 {
		irregular = 1
		k = (q*1262611 - 524031) >> 22 // of three quarters of it
	}
	h := uint(q+(-k*1741647)>>19+1) & 63 // 1 to 4
	g := p[-k]
	odd := c & 1
	lower := g.times((4*c-2+irregular)<<h) + odd
	upper := g.times((4*c+2)<<h) - odd
	v := g.times(4 * c << h)

	// Of the two whole numbers around v/4, the one that reads back as f, or the
	// closer one if both do or none; but if exactly one of the two multiples of
	// ten around it reads back as f, that.
	s := v / 4
	tens := s / 10
	if up, down := lower <= 40*tens, 40*tens+40 <= upper; up != down {
		if down {
			tens++
		}
		return putDecimals(out, n, f, tens*10, -k)
	}
	up, down := lower <= 4*s, 4*s+4 <= upper
	if up == down {
		down = v > 4*s+2-1+(1-s&1)
	}
	if down {
		s++
	}
	return putDecimals(out, n, f, s, -k)
}

// putDecimals writes s/10^places, which is f to 16 or 17 digits, zeros at the
// end among them. f is at least 1e-6 and not whole.
func putDecimals(out []byte, n int, f float64, s uint64, places int) int {
	b := out[n : n+48 : len(out)]
	if f >= 1 { // at most 16 places
		whole := uint64(f)
		m := putUint(b, 0, whole)
		b[m] = '.'
		s = (s - whole*tenTo(places)) * tenTo(16-places)
		return n + put16(b, m+1, s)
	}
	// At least 16 places, at most 22, and 17 digits, the first of which may be
	// a zero that lies where the point belongs.
	store64(b, 0, zeros8)
	m := places - 15
	top := s / 10000000000000000
	b[m] = '0' + byte(top)
	b[1] = '.'
	return n + put16(b, m+1, s-top*10000000000000000)
}

// put16 writes v < 1e16 as 16 digits, without zeros at the end.
func put16(b []byte, n int, v uint64) int {
	high := v / 100000000
	x, y := dig8(uint32(high)), dig8(uint32(v-high*100000000))
	store64(b, n, x+zeros8)
	store64(b, n+8, y+zeros8)
	if y == 0 {
		return n + 8 - bits.LeadingZeros64(x)>>3
	}
	return n + 16 - bits.LeadingZeros64(y)>>3
}

// tenTo is ten to the power of n, which is 0 to 16.
func tenTo(n int) uint64 {
	return [17]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16}[n]
}
