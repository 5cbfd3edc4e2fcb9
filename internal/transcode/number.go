package transcode

import "math/bits"

// putInt writes v in decimal at out[n:], which has room, and returns the new n.
func putInt(out []byte, n int, v int64) int {
	u := uint64(v)
	if v < 0 {
		out[n] = '-'
		n++
		u = -u
	}
	if u >= 100000000 {
		return putLong(out, n, u)
	}
	d := dig8(uint32(u)) + zeros8
	c := digits(uint32(u))
	store64(out, n, d>>((64-c*8)&63))
	return n + c
}

// putUint writes v in decimal.
func putUint(out []byte, n int, v uint64) int {
	if v >= 100000000 {
		return putLong(out, n, v)
	}
	c := digits(uint32(v))
	store64(out, n, (dig8(uint32(v))+zeros8)>>((64-c*8)&63))
	return n + c
}

// putLong writes v >= 1e8.
func putLong(out []byte, n int, v uint64) int {
	high := v / 100000000
	low := dig8(uint32(v-high*100000000)) + zeros8
	if high < 100000000 {
		c := digits(uint32(high))
		store64(out, n, (dig8(uint32(high))+zeros8)>>((64-c*8)&63))
		store64(out, n+c, low)
		return n + c + 8
	}
	top := high / 100000000
	c := digits(uint32(top))
	store64(out, n, (dig8(uint32(top))+zeros8)>>((64-c*8)&63))
	store64(out, n+c, dig8(uint32(high-top*100000000))+zeros8)
	store64(out, n+c+8, low)
	return n + c + 16
}

// digits is how many digits v < 1e8 has, by Daniel Lemire's table: per length
// in bits, the number of digits in the upper half, less what makes that half
// overflow at the next power of ten.
func digits(v uint32) int {
	return int((uint64(v) + [32]uint64{
		1 << 32, 2<<32 - 1e1, 2<<32 - 1e1, 2<<32 - 1e1,
		3<<32 - 1e2, 3<<32 - 1e2, 3<<32 - 1e2,
		4<<32 - 1e3, 4<<32 - 1e3, 4<<32 - 1e3,
		5<<32 - 1e4, 5<<32 - 1e4, 5<<32 - 1e4, 5<<32 - 1e4,
		6<<32 - 1e5, 6<<32 - 1e5, 6<<32 - 1e5,
		7<<32 - 1e6, 7<<32 - 1e6, 7<<32 - 1e6,
		8<<32 - 1e7, 8<<32 - 1e7, 8<<32 - 1e7, 8<<32 - 1e7,
		8 << 32, 8 << 32, 8 << 32,
	}[(bits.Len32(v|1)-1)&31]) >> 32)
}

// putObjectID writes the twelve bytes at src[i:] as 24 hexadecimal digits.
func putObjectID(out []byte, n int, src []byte, i int) int {
	s, o := src[i:i+12:i+12], out[n:n+24:n+24]
	store64(o, 0, hex8(load32(s, 0)))
	store64(o, 8, hex8(load32(s, 4)))
	store64(o, 16, hex8(load32(s, 8)))
	return n + 24
}
