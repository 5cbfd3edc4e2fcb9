package transcode

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// GoKeys returns the values of _id that AppendGoID may have made text of, one for
// each group that MongoDB takes for one key: likely those of the usual types, others
// those that can be told from them by nothing (binary data of unusual subtypes,
// code). None at all: some value that can't be turned back may have that text, such
// as a compound key.
func GoKeys(text string) (likely, others []bson.RawValue) {
	if text == "" || len(text) > MaxID || !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
		return nil, nil
	}
	if strings.HasPrefix(text, "map[") || text[0] == '{' {
		at, ok := goTimestamp(text)
		if !ok {
			return nil, nil
		}
		likely = append(likely, goValue(at))
	}
	if _, ok := goDate(text); !ok && strings.HasSuffix(text, goZone) { // of a year that can't be read back
		return nil, nil
	}
	likely = append(likely, goValue(text))
	for _, v := range goScalars(text) {
		likely = append(likely, goValue(v))
	}
	likely = append(likely, goUUIDs(text)...)
	for _, v := range goBinaries(text) {
		others = append(others, goValue(v))
	}
	return likely, append(others, goValue(bson.JavaScript(text)))
}

func goValue(v any) bson.RawValue {
	t, b, err := bson.MarshalValue(v)
	if err != nil { // can't be: all of them are values of BSON
		return bson.RawValue{}
	}
	return bson.RawValue{Type: t, Value: b}
}

// goScalars are the values other than text and binary data that print as text.
func goScalars(text string) (out []any) {
	switch text {
	case "true", "false":
		return []any{text == "true"}
	case "<nil>":
		return []any{bson.Null{}}
	}
	if id, err := bson.ObjectIDFromHex(text); err == nil && strings.ToLower(text) == text {
		out = append(out, id)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text {
		out = append(out, n) // equal to the double and the decimal of that value
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && string(appendGoWhole(nil, f)) == text {
		out = append(out, f)
	}
	if d, err := bson.ParseDecimal128(text); err == nil && d.String() == text {
		out = append(out, d)
	}
	if at, ok := goDate(text); ok {
		out = append(out, at)
	}
	return out
}

// goZone is how the text of a date ends.
const goZone = " +0000 UTC"

func goDate(text string) (bson.DateTime, bool) {
	const layout = "2006-01-02 15:04:05.999999999 -0700 MST"
	at, err := time.Parse(layout, text)
	ms := at.UnixMilli()
	return bson.DateTime(ms), err == nil && time.UnixMilli(ms).UTC().Format(layout) == text
}

func goTimestamp(text string) (at bson.Timestamp, ok bool) {
	n, err := fmt.Sscanf(text, "{%d %d}", &at.T, &at.I)
	return at, err == nil && n == 2 && fmt.Sprintf("{%d %d}", at.T, at.I) == text
}

// goUUIDs are the values of the two subtypes for UUIDs that print as text.
func goUUIDs(text string) []bson.RawValue {
	digits := text
	if len(text) == 36 {
		digits = strings.ReplaceAll(text, "-", "")
	}
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil
	}
	var out []bson.RawValue
	for _, sub := range []byte{subtypeUUID, subtypeUUIDOld} {
		if string(appendGoBinary(nil, sub, data)) == text {
			out = append(out, goValue(bson.Binary{Subtype: sub, Data: data}))
		}
	}
	return out
}

// goBinaries are the values of the other subtypes that print as text. An ObjectID's
// digits are left out: no binary data looks like that by chance.
func goBinaries(text string) []bson.Binary {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) == 0 || isHex24([]byte(text)) {
		return nil
	}
	var out []bson.Binary
	for sub := range 256 {
		if sub <= 9 && sub != subtypeUUID && sub != subtypeUUIDOld || sub >= 128 {
			out = append(out, bson.Binary{Subtype: byte(sub), Data: data})
		}
	}
	return out
}
