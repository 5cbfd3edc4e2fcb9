package scriptmongo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The operations of the wire protocol that drivers send and get.
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

const (
	flagChecksum   = 1
	flagMoreToCome = 2
	maxMessage     = 48 << 20
)

var errBroken = errors.New("broken message")

// message is one request.
type message struct {
	id     int32
	legacy bool // OP_QUERY: the first hello of a driver
	silent bool // no answer is wanted
	doc    bson.Raw
}

// readMessage reads one request; document sequences are left out, as nothing
// here takes writes.
func readMessage(r io.Reader) (message, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message{}, err
	}
	size := binary.LittleEndian.Uint32(head[0:])
	m := message{id: int32(binary.LittleEndian.Uint32(head[4:]))}
	op := binary.LittleEndian.Uint32(head[12:])
	if size < 21 || size > maxMessage {
		return m, fmt.Errorf("%w: %d bytes", errBroken, size)
	}
	body := make([]byte, size-16)
	if _, err := io.ReadFull(r, body); err != nil {
		return m, err
	}
	switch op {
	case opMsg:
		return m.parseMsg(body)
	case opQuery:
		m.legacy = true
		return m.parseQuery(body)
	}
	return m, fmt.Errorf("%w: operation %d", errBroken, op)
}

func (m message) parseMsg(body []byte) (message, error) {
	flags := binary.LittleEndian.Uint32(body)
	m.silent = flags&flagMoreToCome != 0
	body = body[4:]
	if flags&flagChecksum != 0 {
		body = body[:len(body)-4]
	}
	for len(body) > 0 {
		kind := body[0]
		body = body[1:]
		if len(body) < 5 {
			return m, errBroken
		}
		size := int(binary.LittleEndian.Uint32(body))
		if size < 5 || size > len(body) {
			return m, errBroken
		}
		if kind == 0 {
			m.doc = bson.Raw(body[:size])
		}
		body = body[size:]
	}
	if m.doc == nil {
		return m, errBroken
	}
	return m, m.doc.Validate()
}

func (m message) parseQuery(body []byte) (message, error) {
	// flags, full collection name, skip, return, query
	end := bytes.IndexByte(body[4:], 0)
	if end < 0 || len(body) < 4+end+1+8+5 {
		return m, errBroken
	}
	m.doc = bson.Raw(body[4+end+1+8:])
	return m, m.doc.Validate()
}

// appendReply renders the answer to m.
func appendReply(dst []byte, m message, doc bson.Raw) []byte {
	start := len(dst)
	op := uint32(opMsg)
	if m.legacy {
		op = opReply
	}
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint32(dst, uint32(m.id)+1)
	dst = le.AppendUint32(dst, uint32(m.id))
	dst = le.AppendUint32(dst, op)
	if m.legacy {
		dst = le.AppendUint32(dst, 8) // awaitCapable
		dst = le.AppendUint64(dst, 0)
		dst = le.AppendUint32(dst, 0)
		dst = le.AppendUint32(dst, 1)
	} else {
		dst = le.AppendUint32(dst, 0)
		dst = append(dst, 0)
	}
	dst = append(dst, doc...)
	le.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

// rawArray renders documents as one BSON array.
func rawArray(docs []bson.Raw) bson.RawValue {
	size := 5
	for _, d := range docs {
		size += len(d) + 10
	}
	dst := make([]byte, 4, size)
	for i, d := range docs {
		dst = append(dst, byte(bson.TypeEmbeddedDocument))
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(append(dst, 0), d...)
	}
	dst = append(dst, 0)
	binary.LittleEndian.PutUint32(dst, uint32(len(dst)))
	return bson.RawValue{Type: bson.TypeArray, Value: dst}
}
