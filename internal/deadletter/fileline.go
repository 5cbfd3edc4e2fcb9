package deadletter

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sluice/internal/flow"
)

// fileFormat is the version of the file that we write and the newest we read.
const fileFormat = 1

// fileLine is one line of the file: the header, or one call of Put or Remove.
// One call is one line, so that a crash leaves it whole or not at all.
type fileLine struct {
	Format int       `json:"dead_letters_format,omitempty"`
	Put    []Letter  `json:"put,omitempty"`
	Remove []fileKey `json:"remove,omitempty"`
}

type fileKey struct {
	DB   string `json:"db"`
	Coll string `json:"coll"`
	ID   string `json:"id"`
}

func (k fileKey) key() Key { return Key{NS: flow.Namespace{DB: k.DB, Coll: k.Coll}, ID: k.ID} }

// appendLine appends the text of one line.
func appendLine(dst []byte, l fileLine) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return dst, err
	}
	return append(append(dst, text...), '\n'), nil
}

// errDamaged: a line before the last one can't be read.
var errDamaged = errors.New("damaged")

// scanLines calls f with every whole line and the offset where it begins. It
// returns the offset behind the last good line: what follows it is one line
// that was not written to its end.
func scanLines(r io.Reader, f func(at int64, l *fileLine) error) (good int64, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return good, nil // nothing, or a line without its end
		}
		if err != nil {
			return good, err
		}
		l, err := parseLine(text, good == 0)
		if err != nil {
			if _, more := in.Peek(1); more == io.EOF && !errors.Is(err, errNewer) {
				return good, nil
			}
			return good, fmt.Errorf("at byte %d: %w", good, err)
		}
		if err := f(good, l); err != nil {
			return good, err
		}
		good += int64(len(text))
	}
}

// errNewer: the file was written by a newer version.
var errNewer = errors.New("written by a newer sluice")

func parseLine(text []byte, first bool) (*fileLine, error) {
	var l fileLine
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&l)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("more than one value in a line")
		}
	}
	if err != nil {
		if first && l.Format > fileFormat {
			return nil, errNewer
		}
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if first && l.Format == 0 {
		return nil, fmt.Errorf("%w: it has no header of dead letters", errDamaged)
	}
	if l.Format > fileFormat {
		return nil, fmt.Errorf("format %d: %w", l.Format, errNewer)
	}
	return &l, nil
}
