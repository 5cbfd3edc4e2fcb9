package transcode

import (
	"encoding/hex"
	"errors"
	"testing"
)

// example is a document in hexadecimal and what becomes of it: JSON, or "" for
// ErrCorrupt.
type example struct {
	name, bson, json string
}

func (c example) doc(t testing.TB) []byte {
	b, err := hex.DecodeString(c.bson)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return b
}

// corpus has the cases of MongoDB's BSON corpus, type by type: what decodes,
// and what must not (decodeErrors).
func corpus() []example {
	return append(append(corpusGood(), corpusRare()...), corpusBad()...)
}

func corpusGood() []example {
	return []example{
		{"empty document", "0500000000", `{}`},
		{"double +1.0", "10000000016400000000000000F03F00", `{"d":1.0}`},
		{"double -1.0", "10000000016400000000000000F0BF00", `{"d":-1.0}`},
		{"double 1.0001220703125", "10000000016400000000008000F03F00", `{"d":1.0001220703125}`},
		{"double -1.0001220703125", "10000000016400000000008000F0BF00", `{"d":-1.0001220703125}`},
		{"double 1.2345678921232E+18", "100000000164002a1bf5f41022b14300", `{"d":1234567892123200000.0}`},
		{"double 0.0", "10000000016400000000000000000000", `{"d":0.0}`},
		{"double -0.0", "10000000016400000000000000008000", `{"d":-0.0}`},
		{"double NaN", "10000000016400000000000000F87F00", `{"d":null}`},
		{"double NaN with payload", "10000000016400120000000000F87F00", `{"d":null}`},
		{"double Inf", "10000000016400000000000000F07F00", `{"d":null}`},
		{"double -Inf", "10000000016400000000000000F0FF00", `{"d":null}`},
		{"string empty", "0D000000026100010000000000", `{"a":""}`},
		{"string one character", "0E00000002610002000000620000", `{"a":"b"}`},
		{"string many", "190000000261000D0000006162616261626162616261620000", `{"a":"abababababab"}`},
		{"string of two bytes each", "190000000261000D000000C3A9C3A9C3A9C3A9C3A9C3A90000", `{"a":"éééééé"}`},
		{"string of three bytes each", "190000000261000D000000E29886E29886E29886E298860000", `{"a":"☆☆☆☆"}`},
		{"string with NULs", "190000000261000D0000006162006261620062616261620000", `{"a":"ab\u0000bab\u0000babab"}`},
		{
			"string with escapes", "3200000002610026000000" + "61625C220102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F61620000",
			`{"a":"ab\\\"\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f\u0010\u0011\u0012\u0013` +
				`\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001fab"}`,
		},
		{"document empty", "0D000000037800050000000000", `{"x":{}}`},
		{"document with an empty key", "150000000378000D00000002000200000062000000", `{"x":{"_":"b"}}`},
		{"document with one letter", "160000000378000E0000000261000200000062000000", `{"x":{"a":"b"}}`},
		{"document with $ key", "170000000378000F000000022461000200000062000000", `{"x":{"$a":"b"}}`},
		{"document with dotted key", "180000000378001000000002612E62000200000063000000", `{"x":{"a.b":"c"}}`},
		{"document with a dot as key", "160000000378000E000000022E000200000061000000", `{"x":{"_._":"a"}}`},
		{"array empty", "0D000000046100050000000000", `{"a":[]}`},
		{"array of one", "140000000461000C0000001030000A0000000000", `{"a":[10]}`},
		{"array with an empty name", "130000000461000B00000010000A0000000000", `{"a":[10]}`},
		{"array with a wrong name", "150000000461000D000000106162000A0000000000", `{"a":[10]}`},
		{"array of two named alike", "1b000000046100130000001030000A000000103000140000000000", `{"a":[10,20]}`},
		{"ObjectID zeros", "1400000007610000000000000000000000000000", `{"a":"000000000000000000000000"}`},
		{"ObjectID ones", "14000000076100FFFFFFFFFFFFFFFFFFFFFFFF00", `{"a":"ffffffffffffffffffffffff"}`},
		{"ObjectID", "1400000007610056E1FC72E0C917E9C471416100", `{"a":"56e1fc72e0c917e9c4714161"}`},
		{"true", "090000000862000100", `{"b":true}`},
		{"false", "090000000862000000", `{"b":false}`},
		{"date epoch", "10000000096100000000000000000000", `{"a":"1970-01-01T00:00:00.000Z"}`},
		{"date 2012", "10000000096100C5D8D6CC3B01000000", `{"a":"2012-12-24T12:15:30.501Z"}`},
		{"date before 1970", "10000000096100C33CE7B9BDFFFFFF00", `{"a":"1960-12-24T12:15:30.499Z"}`},
		{"date after 9999", "1000000009610000DC1FD277E6000000", `{"a":253402300800000}`},
		{"null", "080000000A610000", `{"a":null}`},
		{"int32 min", "0C0000001069000000008000", `{"i":-2147483648}`},
		{"int32 max", "0C000000106900FFFFFF7F00", `{"i":2147483647}`},
		{"int32 -1", "0C000000106900FFFFFFFF00", `{"i":-1}`},
		{"int64 min", "10000000126100000000000000008000", `{"a":-9223372036854775808}`},
		{"int64 max", "10000000126100FFFFFFFFFFFFFF7F00", `{"a":9223372036854775807}`},
		{"int64 1", "10000000126100010000000000000000", `{"a":1}`},
		{"timestamp", "100000001161002A00000015CD5B0700", `{"a":{"t":123456789,"i":42}}`},
		{"timestamp with highest bits", "10000000116100FFFFFFFFFFFFFFFF00", `{"a":{"t":4294967295,"i":4294967295}}`},
		{"top level: $-prefixed", "0F00000010246B6579002A00000000", `{"$key":42}`},
		{"top level: empty key", "0B00000010002A00000000", `{"_":42}`},
		{"top level: dot", "0C000000102E002A00000000", `{"_._":42}`},
	}
}

func corpusRare() []example {
	return []example{
		{"binary empty", "0D000000057800000000000000", `{"x":""}`},
		{"binary", "0F0000000578000200000000FFFF00", `{"x":"//8="}`},
		{"binary 01", "0F0000000578000200000001FFFF00", `{"x":"//8="}`},
		{"binary 02", "13000000057800060000000202000000FFFF00", `{"x":"//8="}`},
		{"binary 02 with a wrong inner length", "13000000057800060000000203000000FFFF00", `{"x":"AwAAAP//"}`},
		{"binary 02 shorter than its length", "0F0000000578000200000002FFFF00", `{"x":"//8="}`},
		{"binary 03", "1D000000057800100000000373FFD26444B34C6990E8E7D1DFC035D400", `{"x":"73ffd264-44b3-4c69-90e8-e7d1dfc035d4"}`},
		{"binary 04", "1D000000057800100000000473FFD26444B34C6990E8E7D1DFC035D400", `{"x":"73ffd264-44b3-4c69-90e8-e7d1dfc035d4"}`},
		{"binary 04 too short", "0F0000000578000200000004FFFF00", `{"x":"//8="}`},
		{"binary 05", "1D000000057800100000000573FFD26444B34C6990E8E7D1DFC035D400", `{"x":"c//SZESzTGmQ6OfR38A11A=="}`},
		{"binary 80", "0F0000000578000200000080FFFF00", `{"x":"//8="}`},
		{"vector float32", "170000000578000A0000000927000000FE420000E04000", `{"x":[127.0,7.0]}`},
		{"vector int8", "11000000057800040000000903007F0700", `{"x":[127,7]}`},
		{"vector of bits", "11000000057800040000000910007F0700", `{"x":[127,7]}`},
		{"vector of bits with padding", "1100000005780004000000091003FF0800", `{"x":[-1,8]}`},
		{"vector empty", "0F0000000578000200000009270000", `{"x":[]}`},
		{"vector with padding where none may be", "11000000057800040000000903017F0700", `{"x":"AwF/Bw=="}`},
		{"vector float32 with padding", "130000000578000600000009270100000000" + "00", `{"x":"JwEAAAAA"}`},
		{"vector float32 cut off", "12000000057800050000000927000000FE00", `{"x":"JwAAAP4="}`},
		{"vector of unknown type", "11000000057800040000000905007F0700", `{"x":"BQB/Bw=="}`},
		{"undefined", "0800000006610000", `{"a":null}`},
		{"regex empty", "0A0000000B6100000000", `{"a":"//"}`},
		{"regex", "0F0000000B610061626300696D0000", `{"a":"/abc/im"}`},
		{"regex with slash", "110000000B610061622F636400696D0000", `{"a":"/ab/cd/im"}`},
		{"dbpointer", "1A0000000C610002000000620056E1FC72E0C917E9C471416100", `{"a":{"$ref":"b","$id":"56e1fc72e0c917e9c4714161"}}`},
		{"code", "190000000D61000D0000006162616261626162616261620000", `{"a":"abababababab"}`},
		{"symbol", "190000000E61000D0000006162616261626162616261620000", `{"a":"abababababab"}`},
		{"code with empty scope", "160000000F61000E0000000100000000050000000000", `{"a":{"code":"","scope":{}}}`},
		{
			"code with scope", "210000000F6100190000000500000061626364000C000000107800010000000000",
			`{"a":{"code":"abcd","scope":{"x":1}}}`,
		},
		{"minkey", "08000000FF610000", `{"a":"MinKey"}`},
		{"maxkey", "080000007F610000", `{"a":"MaxKey"}`},
		{"decimal NaN", "180000001364000000000000000000000000000000007C00", `{"d":null}`},
		{"decimal signalling NaN", "180000001364000000000000000000000000000000007E00", `{"d":null}`},
		{"decimal Infinity", "180000001364000000000000000000000000000000007800", `{"d":null}`},
		{"decimal -Infinity", "18000000136400000000000000000000000000000000F800", `{"d":null}`},
		{"decimal 0", "180000001364000000000000000000000000000000403000", `{"d":"0"}`},
		{"decimal -0", "18000000136400000000000000000000000000000040B000", `{"d":"-0"}`},
		{"decimal 0.1", "1800000013640001000000000000000000000000003E3000", `{"d":"0.1"}`},
		{"decimal 1E+3", "180000001364000100000000000000000000000000463000", `{"d":"1E+3"}`},
		{
			"decimal 0.1000000000000000000000000000000000", "18000000136400000000000A5BC138938D44C64D31FC2F00",
			`{"d":"0.1000000000000000000000000000000000"}`,
		},
		{"decimal largest", "18000000136400FFFFFFFF638E8D37C087ADBE09EDFF5F00", `{"d":"9.999999999999999999999999999999999E+6144"}`},
		{"decimal smallest", "180000001364000100000000000000000000000000000000", `{"d":"1E-6176"}`},
		{"decimal coefficient of 35 digits is zero", "18000000136400000000" + "00648E8D37C087ADBE09ED413000", `{"d":"0"}`},
		{"decimal 1E+999", "18000000136400000000000a5bc138938d44c64d31cc3700", `{"d":"1.000000000000000000000000000000000E+999"}`},
		{"decimal of the other form", "180000001364000000000000000000000000000000106C00", `{"d":"0"}`},
	}
}

func corpusBad() []example {
	return []example{
		{"nothing", "", ""},
		{"length only", "05000000", ""},
		{"length of four", "0400000000", ""},
		{"length negative", "FFFFFFFF00", ""},
		{"length zero", "0000000000", ""},
		{"length too long", "0600000000", ""},
		{"bytes behind", "050000000000", ""},
		{"no end", "0500000001", ""},
		{"end too early", "0C0000001069000000008000" + "00", ""},
		{"NUL in the middle", "0D00000000106900000000800000", ""},
		{"double cut off", "0B0000000164000000F03F00", ""},
		{"string length 0", "0C0000000261000000000000", ""},
		{"string length -1", "0C000000026100FFFFFFFF00", ""},
		{"string eats the end", "0E0000000261000300000062000000", ""},
		{"string longer than the document", "0E00000002610000FFFFFF00620000", ""},
		{"string without NUL", "0E00000002610002000000616200", ""},
		{"document too long inside", "1800000003666F6F000F00000010626172FFFFFF7F0000", ""},
		{"document too short inside", "1500000003666F6F000A0000000862617200010000", ""},
		{"document length below five", "0D000000037800040000000000", ""},
		{"array too long inside", "14000000046100FF00000010300" + "00A0000000000", ""},
		{"array element cut off", "110000000461000900000010300005" + "0000", ""},
		{"binary length negative", "0D000000057800FFFFFFFF0000", ""},
		{"binary longer than the document", "1D000000057800FF0000000573FFD26444B34C6990E8E7D1DFC035D400", ""},
		{"ObjectID cut off", "1200000007610056E1FC72E0C917E9C471", ""},
		{"boolean 2", "090000000862000200", ""},
		{"boolean -1", "09000000086200FF00", ""},
		{"date cut off", "0C0000000961001200000000", ""},
		{"regex without end", "0C0000000B61006162630000", ""},
		{"dbpointer length negative", "1A0000000C6100FFFFFFFF620056E1FC72E0C917E9C471416100", ""},
		{"dbpointer cut off", "160000000C61000300000062620056E1FC72E0C900", ""},
		{"code length 0", "0C0000000D61000000000000", ""},
		{"symbol without NUL", "0E0000000E610002000000616200", ""},
		{"code with scope: length below its parts", "280000000F61000000000004000000636F64001200000002666F6F0004000000626172000000", ""},
		{"code with scope: length off by one", "280000000F61001F00000004000000636F64001200000002666F6F0004000000626172000000", ""},
		{"code with scope: length beyond the document", "280000000F6100FF00000004000000636F64001200000002666F6F0004000000626172000000", ""},
		{"code with scope: code too long", "280000000F610020000000FF000000636F64001200000002666F6F0004000000626172000000", ""},
		{"timestamp cut off", "0F0000001161002A00000015CD5B00", ""},
		{"decimal cut off", "100000001364000000000000000010" + "00", ""},
		{"unknown type 14", "080000001461000000", ""},
		{"unknown type 80", "08000000806100" + "00", ""},
		{"name of a null without end", "080000000A616200", ""},
		{"name of a null without end, inside", "1B000000037800080000000A61620012790000000000000000" + "0000", ""},
		{"dbpointer without NUL", "1A0000000C610002000000626256E1FC72E0C917E9C471416100", ""},
		{"name without end", "0700000001" + "6100", ""},
	}
}

func TestT38BSONCorpus(t *testing.T) {
	p := mustCompile(t, Options{}, Fields{})
	for _, c := range corpus() {
		var st Stats
		got, err := p.Append(nil, c.doc(t), &st)
		switch {
		case c.json == "" && !errors.Is(err, ErrCorrupt):
			t.Errorf("%s: %s, %v; want ErrCorrupt", c.name, got, err)
		case c.json != "" && (err != nil || string(got) != c.json):
			t.Errorf("%s: %v\ngot  %s\nwant %s", c.name, err, got, c.json)
		}
	}
}
