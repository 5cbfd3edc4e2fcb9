package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// fileFormat is the newest format of the state file.
const fileFormat = 1

// fileMagic starts each state file. The first line is
//
//	sluice-state FORMAT REVISION FENCE LENGTH CHECKSUM
//
// and LENGTH bytes of data follow. The checksum is a CRC-32C over the line
// before it and the data.
const fileMagic = "sluice-state"

// errTorn says that a state file was cut off or altered.
var errTorn = errors.New("the file is damaged")

// encodeFile returns the file's content and its Rev.
func encodeFile(revision uint64, fence int64, data []byte) (file []byte, rev string) {
	head := fmt.Sprintf("%s %d %d %d %d", fileMagic, fileFormat, revision, fence, len(data))
	sum := checksum(head, data)
	file = make([]byte, 0, len(head)+10+len(data))
	file = fmt.Appendf(file, "%s %08x\n", head, sum)
	return append(file, data...), revOf(revision, sum)
}

// decodeFile checks a file's content in full. The Record's Data is a view.
func decodeFile(file []byte) (rec Record, revision uint64, err error) {
	line, data, ok := bytes.Cut(file, []byte{'\n'})
	words := strings.Split(string(line), " ")
	if words[0] != fileMagic {
		return Record{}, 0, fmt.Errorf("%w: it does not start as a state file does", errTorn)
	}
	if len(words) > 1 {
		if n, err := strconv.Atoi(words[1]); err == nil && n > fileFormat {
			return Record{}, 0, fmt.Errorf("file format %d, and this program knows up to %d: %w", n, fileFormat, ErrNewer)
		}
	}
	if !ok || len(words) != 6 {
		return Record{}, 0, fmt.Errorf("%w: its first line is not whole", errTorn)
	}
	revision, err1 := strconv.ParseUint(words[2], 10, 64)
	fence, err2 := strconv.ParseInt(words[3], 10, 64)
	length, err3 := strconv.Atoi(words[4])
	sum, err4 := strconv.ParseUint(words[5], 16, 32)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return Record{}, 0, fmt.Errorf("%w: %w", errTorn, err)
	}
	if len(data) != length {
		return Record{}, 0, fmt.Errorf("%w: %d bytes of data, %d expected", errTorn, len(data), length)
	}
	if checksum(strings.Join(words[:5], " "), data) != uint32(sum) {
		return Record{}, 0, fmt.Errorf("%w: its checksum is wrong", errTorn)
	}
	return Record{Rev: revOf(revision, uint32(sum)), Fence: fence, Data: data}, revision, nil
}

// revOf names one save of one content: a file that was removed and made anew
// counts from one again, and the checksum tells it apart.
func revOf(revision uint64, sum uint32) string { return fmt.Sprintf("%d-%08x", revision, sum) }

func checksum(head string, data []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(head), table), table, data)
}
