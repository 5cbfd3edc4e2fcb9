package app

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/flow"
)

func TestParseKey(t *testing.T) {
	f := func(in string, kind bson.Type, want string) {
		t.Helper()
		got, err := ParseKey(in)
		if err != nil || got.Type != kind || got.String() != want {
			t.Errorf("ParseKey(%q) = %s %s, %v; want %s %s", in, got.Type, got, err, kind, want)
		}
	}
	f("65a1b2c3d4e5f60718293a4b", bson.TypeObjectID, `{"$oid":"65a1b2c3d4e5f60718293a4b"}`)
	f(`{"$oid": "65A1B2C3D4E5F60718293A4B"}`, bson.TypeObjectID, `{"$oid":"65a1b2c3d4e5f60718293a4b"}`)
	f(`"65a1b2c3d4e5f60718293a4b"`, bson.TypeString, `"65a1b2c3d4e5f60718293a4b"`)
	f("123456789012345678901234", bson.TypeObjectID, `{"$oid":"123456789012345678901234"}`)
	f("5", bson.TypeInt32, `{"$numberInt":"5"}`)
	f("-5", bson.TypeInt32, `{"$numberInt":"-5"}`)
	f("9007199254740993", bson.TypeInt64, `{"$numberLong":"9007199254740993"}`)
	f("1.5", bson.TypeDouble, `{"$numberDouble":"1.5"}`)
	f("007", bson.TypeString, `"007"`)
	f("A-17", bson.TypeString, `"A-17"`)
	f("-", bson.TypeString, `"-"`)
	f("true", bson.TypeString, `"true"`)
	f(`say "hi"`, bson.TypeString, `"say \"hi\""`)
	f(`{"a": 1, "b": {"$numberLong": "2"}}`, bson.TypeEmbeddedDocument, `{"a": {"$numberInt":"1"},"b": {"$numberLong":"2"}}`)
	for _, in := range []string{"", "{", `"a`, `{"$oid": "x"}`, `{"a": 1}, "b": {"c": 1}`, "123456789012345678901"} {
		if got, err := ParseKey(in); flow.ClassOf(err) != flow.Config {
			t.Errorf("ParseKey(%q) = %s, %v", in, got, err)
		}
	}
}

func TestParseQuery(t *testing.T) {
	if q, err := ParseQuery(""); q != nil || err != nil {
		t.Error(q, err)
	}
	if q, err := ParseQuery(`{"a": {"$gt": {"$numberLong": "5"}}}`); err != nil || q.Lookup("a", "$gt").Int64() != 5 {
		t.Error(q, err)
	}
	for _, in := range []string{"{", "[]", `{"a": {"$date": "x"}}`, "5"} {
		if q, err := ParseQuery(in); flow.ClassOf(err) != flow.Config {
			t.Errorf("ParseQuery(%q) = %s, %v", in, q, err)
		}
	}
}
