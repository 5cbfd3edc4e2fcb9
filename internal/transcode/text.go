package transcode

import (
	"math/bits"
	"unicode/utf8"
)

// AppendString appends s to dst as a JSON string with its quotes. Bytes that
// are no UTF-8 become U+FFFD. It keeps no view of s.
func AppendString(dst []byte, s string) []byte {
	// The word loops want bytes; a string goes through in pieces that lie on
	// the stack and are cut between characters.
	var piece [256]byte
	out, n := dst[:cap(dst)], len(dst)
	if len(out)-n < room {
		out = grow(out, n, len(s)+room)
	}
	out[n] = '"'
	n++
	for len(s) > 0 {
		k := copy(piece[:], s)
		if k < len(s) {
			for cut := k; cut > k-utf8.UTFMax; cut-- {
				if utf8.RuneStart(s[cut]) {
					k = cut
					break
				}
			}
		}
		out, n, _ = putText(out, n, piece[:k], 0, k)
		s = s[k:]
	}
	if len(out) == n {
		out = grow(out, n, 1)
	}
	out[n] = '"'
	return out[:n+1]
}

// putText writes src[i:end] with what JSON wants escaped, without quotes. It
// makes its own room and leaves room bytes free. bad tells that bytes were replaced.
func putText(out []byte, n int, src []byte, i, end int) (o []byte, m int, bad bool) {
	if len(out)-n < end-i+room {
		out = grow(out, n, end-i+room)
	}
	// From here on there is always room for what is left, and to spare.
	for {
		n, i = copyPlain(out, n, src, i, end)
		if i >= end {
			return out, n, bad
		}
		if c := src[i]; c < utf8.RuneSelf {
			n = putEscape(out, n, c)
			i++
		} else {
			if n, i = copyRunes(out, n, src, i, end); i >= end {
				return out, n, bad
			}
			if src[i] < utf8.RuneSelf {
				continue
			}
			n += copy(out[n:], "\uFFFD")
			i++
			bad = true
		}
		if len(out)-n < end-i+room {
			out = grow(out, n, 2*(end-i)+room)
		}
	}
}

// copyPlain copies bytes up to the first special one, or to end: the first
// ones and the last ones eight at a time, long runs by blocks.
func copyPlain(out []byte, n int, src []byte, i, end int) (int, int) {
	for first16 := i + 16; i >= 0 && i < end && i <= len(src)-8; {
		w := load64(src, i)
		store64(out, n, w)
		marks := special(w)
		if marks == 0 && end-i >= 8 {
			i += 8
			n += 8
			if i == first16 {
				var found bool
				if n, i, found = copyBlocks(out, n, src, i, end); found {
					return n, i
				}
			}
			continue
		}
		k := min(first(marks), end-i)
		return n + k, i + k
	}
	return copyTail(out, n, src, i, end)
}

// copyBlocks copies 32 bytes at a time. It stops at the first special byte
// (found), or when less than a block is left.
func copyBlocks(out []byte, n int, src []byte, i, end int) (m, k int, found bool) {
	for i <= end-32 {
		s, o := src[i:i+32:i+32], out[n:n+32:n+32]
		a, b, c, d := load64(s, 0), load64(s, 8), load64(s, 16), load64(s, 24)
		store64(o, 0, a)
		store64(o, 8, b)
		store64(o, 16, c)
		store64(o, 24, d)
		a, b, c, d = special(a), special(b), special(c), special(d)
		if a|b|c|d != 0 {
			// Where the first one is, without branches.
			k := bits.TrailingZeros32(flags(a) | flags(b)<<8 | flags(c)<<16 | flags(d)<<24)
			return n + k, i + k, true
		}
		i += 32
		n += 32
	}
	return n, i, false
}

// copyRunes copies characters beyond ASCII, up to the first byte that is
// ASCII or belongs to no valid character.
func copyRunes(out []byte, n int, src []byte, i, end int) (int, int) {
	for i >= 0 && i <= len(src)-4 && i < end {
		// Four bytes at once: is this a character of two, three, four? Its later
		// bytes don't lie beyond end: a NUL or the slice's end is there.
		w := load32(src, i)
		store32(out, n, w)
		switch {
		case w&0xc0e0 == 0x80c0 && w&0x1e != 0:
			i += 2
			n += 2
		case w&0xc0c0f0 == 0x8080e0 && w&0x200f != 0 && w&0x200f != 0x200d:
			i += 3
			n += 3
		case w&0xc0c0c0f8 == 0x808080f0 && w&0x3007 != 0 && (w&7 < 4 || w&0x3007 == 4):
			i += 4
			n += 4
		default:
			return n, i
		}
	}
	for i < end && src[i] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(src[i:end])
		if r == utf8.RuneError && size == 1 {
			return n, i
		}
		n += copy(out[n:], src[i:i+size])
		i += size
	}
	return n, i
}

// copyTail copies the last bytes of a document, up to the first special one,
// byte by byte.
func copyTail(out []byte, n int, src []byte, i, end int) (int, int) {
	for i < end {
		c := src[i]
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
		out[n] = c
		n++
		i++
	}
	return n, i
}

// escapes holds, for each character below 96 that has one, the letter of its
// short escape; a space for the others.
const escapes = "        btn fr                  " +
	"  \"                             " +
	"                            \\   "

// putEscape writes the escape of a control character, quote or backslash, of
// at most six bytes.
func putEscape(out []byte, n int, c byte) int {
	if short := escapes[c]; short != ' ' {
		store16(out, n, '\\'|uint16(short)<<8)
		return n + 2
	}
	const digits = "0123456789abcdef"
	store32(out, n, '\\'|'u'<<8|'0'<<16|'0'<<24)
	out[n+4] = digits[c>>4]
	out[n+5] = digits[c&15]
	return n + 6
}
