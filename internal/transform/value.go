package transform

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// value returns the text of the field, as it is or as a date. The error tells
// why there is none, without the value.
func (p *part) value(doc bson.Raw) (string, error) {
	name := strings.Join(p.path, ".")
	v, err := doc.LookupErr(p.path...)
	if err != nil {
		return "", fmt.Errorf("the field %s is missing", name)
	}
	if p.date != nil {
		t, ok := timeIn(v)
		if !ok {
			return "", fmt.Errorf("the field %s is no date and no ObjectId, but %s", name, v.Type)
		}
		text, ok := p.date.append(nil, t)
		if !ok {
			return "", fmt.Errorf("the year of the field %s has not four digits", name)
		}
		return string(text), nil
	}
	text, ok := textIn(v)
	switch {
	case !ok && (v.Type == bson.TypeDateTime || v.Type == bson.TypeTimestamp):
		return "", fmt.Errorf("the field %s is a date, and the template gives no format ({%s:yyyy.MM})", name, name)
	case !ok:
		return "", fmt.Errorf("the field %s can't be used: it is %s", name, v.Type)
	case text == "":
		return "", fmt.Errorf("the field %s is empty", name)
	case !utf8.ValidString(text):
		return "", fmt.Errorf("the field %s is no UTF-8", name)
	}
	return text, nil
}

// timeIn returns the time that a value is, or holds.
func timeIn(v bson.RawValue) (time.Time, bool) {
	switch v.Type {
	case bson.TypeDateTime:
		ms, ok := v.DateTimeOK()
		return time.UnixMilli(ms), ok
	case bson.TypeObjectID:
		id, ok := v.ObjectIDOK()
		return id.Timestamp(), ok
	case bson.TypeTimestamp:
		sec, _, ok := v.TimestampOK()
		return time.Unix(int64(sec), 0), ok
	}
	return time.Time{}, false
}

// textIn returns the text of a string, a whole number, a boolean or an ObjectId.
func textIn(v bson.RawValue) (string, bool) {
	switch v.Type {
	case bson.TypeString:
		return v.StringValueOK()
	case bson.TypeInt32:
		n, ok := v.Int32OK()
		return strconv.FormatInt(int64(n), 10), ok
	case bson.TypeInt64:
		n, ok := v.Int64OK()
		return strconv.FormatInt(n, 10), ok
	case bson.TypeDouble:
		f, ok := v.DoubleOK()
		return strconv.FormatInt(int64(f), 10), ok && f == math.Trunc(f) && math.Abs(f) < 1<<53
	case bson.TypeBoolean:
		b, ok := v.BooleanOK()
		return strconv.FormatBool(b), ok
	case bson.TypeObjectID:
		id, ok := v.ObjectIDOK()
		return id.Hex(), ok
	}
	return "", false
}
