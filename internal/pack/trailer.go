package pack

import (
	"encoding/binary"
	"hash/crc32"
)

// The numbers of the Zstandard seekable format.
const (
	skippableMagic = 0x184D2A5E
	seekableMagic  = 0x8F92EAB1
	seekFooter     = 9
)

// trailer returns the bytes with which a pack of these frames ends. They tell
// the frames again, so a pack that was cut between two frames is known without
// its manifest.
func trailer(c Codec, frames []Frame) []byte {
	if c == Gzip {
		return endMember(frames)
	}
	return seekTable(frames)
}

// seekTable is a skippable frame of Zstandard: sizes of each frame, then their
// number, a byte of flags (none), and a magic number.
func seekTable(frames []Frame) []byte {
	size := len(frames)*8 + seekFooter
	b := make([]byte, 0, 8+size)
	b = binary.LittleEndian.AppendUint32(b, skippableMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	for _, f := range frames {
		b = binary.LittleEndian.AppendUint32(b, uint32(f.Bytes))
		b = binary.LittleEndian.AppendUint32(b, uint32(f.RawBytes))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frames)))
	b = append(b, 0)
	return binary.LittleEndian.AppendUint32(b, seekableMagic)
}

// endMember is an empty gzip member whose extra field "SL" tells the number of
// frames, their bytes in the object, and their BSON, and a CRC32C of the three.
func endMember(frames []Frame) []byte {
	const field = 28
	b := []byte{0x1f, 0x8b, 8, 4 /* extra field */, 0, 0, 0, 0, 0, 255, field + 4, 0, 'S', 'L', field, 0}
	at := len(b)
	var bytes, raw int64
	for _, f := range frames {
		bytes, raw = bytes+f.Bytes, raw+f.RawBytes
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(frames)))
	b = binary.LittleEndian.AppendUint64(b, uint64(bytes))
	b = binary.LittleEndian.AppendUint64(b, uint64(raw))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli()))
	// No data (one empty block of fixed codes), its CRC-32 and its length.
	return append(b, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
