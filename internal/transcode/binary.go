package transcode

import "encoding/base64"

// The subtypes of binary data that are more than bytes.
const (
	subtypeOld     = 0x02
	subtypeUUIDOld = 0x03
	subtypeUUID    = 0x04
	subtypeVector  = 0x09
)

// binary writes binary data, whose frame is checked, at src[i:stop].
func (e *encoder) binary(out []byte, n, i, stop int) ([]byte, int) {
	data := e.src[i+5 : stop]
	switch sub := e.src[i+4]; sub {
	case subtypeUUID, subtypeUUIDOld:
		if len(data) == 16 {
			out[n] = '"'
			n = putUUID(out, n+1, data)
			out[n] = '"'
			return out, n + 1
		}
	case subtypeVector:
		if vectorOf(data) != vectorNone {
			return e.vector(out, n, data)
		}
	case subtypeOld:
		// Subtype 2 holds its length again; if that is right, it is no data.
		if len(data) >= 4 && int(load32(data, 0)) == len(data)-4 {
			data = data[4:]
		}
	}
	size := base64.StdEncoding.EncodedLen(len(data))
	if len(out)-n < size+room {
		out = grow(out, n, size+room)
	}
	out[n] = '"'
	base64.StdEncoding.Encode(out[n+1:], data)
	n += 1 + size
	out[n] = '"'
	return out, n + 1
}

// putUUID writes 16 bytes, in the order in which they are stored, as the text
// of a UUID.
func putUUID(out []byte, n int, data []byte) int {
	b := out[n : n+40 : len(out)]
	store64(b, 0, hex8(load32(data, 0)))
	x := hex8(load32(data, 4))
	y := hex8(load32(data, 8))
	b[8] = '-'
	store32(b, 9, uint32(x))
	b[13] = '-'
	store32(b, 14, uint32(x>>32))
	b[18] = '-'
	store32(b, 19, uint32(y))
	b[23] = '-'
	store32(b, 24, uint32(y>>32))
	store64(b, 28, hex8(load32(data, 12)))
	return n + 36
}
