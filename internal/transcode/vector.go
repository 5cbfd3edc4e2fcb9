package transcode

import (
	"math"
	"strconv"
)

// The element types of binary vectors.
const (
	vectorNone    = 0
	vectorInt8    = 0x03
	vectorPacked  = 0x10
	vectorFloat32 = 0x27
)

// vectorOf returns the element type of a vector, vectorNone if data is no
// valid vector.
func vectorOf(data []byte) byte {
	if len(data) < 2 {
		return vectorNone
	}
	size, padding := len(data)-2, data[1]
	switch data[0] {
	case vectorInt8:
		if padding == 0 {
			return vectorInt8
		}
	case vectorPacked:
		if padding == 0 || padding < 8 && size > 0 {
			return vectorPacked
		}
	case vectorFloat32:
		if padding == 0 && size%4 == 0 {
			return vectorFloat32
		}
	}
	return vectorNone
}

// vector writes a valid vector as an array of numbers: int8 and float32 as
// they are, packed bits as signed bytes of eight, which is what engines take
// for vectors of bits.
func (e *encoder) vector(out []byte, n int, data []byte) ([]byte, int) {
	floats := data[0] == vectorFloat32
	data = data[2:]
	out[n] = '['
	n++
	for len(data) > 0 {
		out = withRoom(out, n)
		if floats {
			n = e.float32(out, n, math.Float32frombits(load32(data, 0)))
			data = data[4:]
		} else {
			n = putInt(out, n, int64(int8(data[0])))
			data = data[1:]
		}
		out[n] = ','
		n++
	}
	out, n = closing(out, n, ']')
	return out, n
}

// float32 writes a number of a vector in the fewest digits that read back as
// the same float32.
func (e *encoder) float32(out []byte, n int, f float32) int {
	if f-f != 0 {
		return e.notFinite(out, n, float64(f))
	}
	if whole := int32(f); float32(whole) == f && whole != 0 && whole > -1<<24 && whole < 1<<24 {
		n = putInt(out, n, int64(whole))
		store16(out, n, '.'|'0'<<8)
		return n + 2
	}
	if f == 0 {
		return putDouble(out, n, float64(f), &e.plan.powers)
	}
	format := byte('e')
	if a := math.Abs(float64(f)); a >= 1e-6 && a < 1e21 {
		format = 'f'
	}
	m := n + len(strconv.AppendFloat(out[n:n], float64(f), format, -1, 32))
	if format == 'f' && math.Abs(float64(f)) >= 1<<24 {
		store16(out, m, '.'|'0'<<8)
		m += 2
	}
	return m
}
