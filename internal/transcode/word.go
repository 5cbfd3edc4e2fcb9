package transcode

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// room is what a buffer has free whenever a value or a short name is written:
// the longest fixed rendering is 44 bytes, and words are stored eight bytes at
// a time, past what counts.
const room = 64

// grow returns out with at least need bytes free after n, its length being its
// capacity again.
func grow(out []byte, n, need int) []byte {
	out = slices.Grow(out[:n], max(need, n/2))
	return out[:cap(out)]
}

func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i : i+4]) }
func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

func store16(b []byte, i int, v uint16) { binary.LittleEndian.PutUint16(b[i:i+2], v) }
func store32(b []byte, i int, v uint32) { binary.LittleEndian.PutUint32(b[i:i+4], v) }
func store64(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:i+8], v) }

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, by their high bits, the bytes of a word that a JSON string
// can't hold as they are: control characters, quote, backslash, and all beyond
// ASCII. The lowest mark is exact, later ones may be false.
func special(w uint64) uint64 {
	return (((w ^ ones*0x02) - ones*0x21) | ((w ^ ones*'\\') - ones) | w) & highs
}

// specialName marks a dot, too: names with dots may be refused by engines.
func specialName(w uint64) uint64 {
	return (((w ^ ones*0x02) - ones*0x21) | ((w ^ ones*'\\') - ones) | ((w ^ ones*'.') - ones) | w) & highs
}

// flags gathers the marks of a word in eight bits.
func flags(marks uint64) uint32 { return uint32(marks >> 7 * 0x0102040810204080 >> 56) }

// first is the index of the byte with the lowest mark.
func first(marks uint64) int { return bits.TrailingZeros64(marks) >> 3 }

// hex8 is four bytes as eight lower-case hexadecimal digits, in order.
func hex8(v uint32) uint64 {
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = x>>4&0x000f000f000f000f | x<<8&0x0f000f000f000f00
	letters := (x + ones*6) >> 4 & ones
	return x + ones*'0' + letters*('a'-'0'-10)
}

// dig8 is v < 1e8 as eight bytes of digits 0 to 9 (not yet characters), the
// first digit in the lowest byte.
func dig8(v uint32) uint64 {
	high := v / 10000
	return dig4x2(high, v-high*10000)
}

// dig4x2 is two numbers below 10,000 as four digits each.
func dig4x2(high, low uint32) uint64 {
	x := uint64(high) | uint64(low)<<32
	hundreds := x * 10486 >> 20 & 0x0000007f0000007f
	x = hundreds | (x-hundreds*100)<<16
	tens := x * 103 >> 10 & 0x000f000f000f000f
	return tens | (x-tens*10)<<8
}

// zeros8 makes characters of eight digits.
const zeros8 = ones * '0'
