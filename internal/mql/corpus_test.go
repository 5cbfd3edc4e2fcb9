package mql

import (
	"math"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func raw(t testing.TB, v any) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ext reads Extended JSON.
func ext(t testing.TB, s string) bson.Raw {
	t.Helper()
	var d bson.Raw
	if err := bson.UnmarshalExtJSON([]byte(s), false, &d); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return d
}

func dec(s string) bson.Decimal128 {
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		panic(err)
	}
	return d
}

// corpusValues are the values of the field `a` of the documents that queries are
// tried on.
func corpusValues() []any {
	oid := bson.ObjectID{1, 2, 3}
	return []any{
		nil, int32(0), int32(1), int64(1), 1.0, 1.5, -1.5, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1),
		int64(math.MaxInt64), int64(math.MinInt64), 9223372036854775808.0, 9007199254740993.0, int64(9007199254740993),
		dec("1"), dec("1.50"), dec("0.1"), 0.1, dec("NaN"), dec("Infinity"), dec("1E+6000"), dec("-7"), int32(7), int32(-7), 3.9, -3.9,
		"", "a", "abc", "ABC", "line\nabc", "abc\n", "a.b", "$5", "ünï", bson.Symbol("abc"),
		bson.D{},
		bson.D{{Key: "b", Value: 1}},
		bson.D{{Key: "b", Value: 1.0}},
		bson.D{{Key: "b", Value: nil}},
		bson.D{{Key: "c", Value: 1}},
		bson.D{{Key: "b", Value: 1}, {Key: "c", Value: 2}},
		bson.D{{Key: "c", Value: 2}, {Key: "b", Value: 1}},
		bson.D{{Key: "b", Value: bson.D{{Key: "c", Value: 5}}}},
		bson.D{{Key: "b", Value: bson.A{1, 2, 3}}},
		bson.D{{Key: "0", Value: 1}},
		bson.D{{Key: "b", Value: bson.A{}}},
		bson.A{},
		bson.A{1},
		bson.A{1, 2},
		bson.A{2, 1},
		bson.A{bson.A{1, 2}},
		bson.A{bson.A{}},
		bson.A{nil},
		bson.A{"abc", 5, 7.0},
		bson.A{bson.D{}},
		bson.A{bson.D{{Key: "b", Value: 1}}},
		bson.A{bson.D{{Key: "b", Value: 1}, {Key: "c", Value: 1}}, bson.D{{Key: "b", Value: 5}, {Key: "c", Value: 9}}},
		bson.A{bson.D{{Key: "b", Value: bson.A{1, 2}}}, bson.D{{Key: "b", Value: bson.A{3}}}},
		bson.A{bson.A{bson.D{{Key: "b", Value: 1}}}},
		bson.A{bson.D{{Key: "0", Value: 1}}},
		bson.A{bson.D{{Key: "b", Value: bson.D{{Key: "c", Value: 5}}}}, 4},
		bson.A{bson.A{1}, bson.A{2, bson.D{{Key: "b", Value: 1}}}},
		bson.A{bson.D{{Key: "0", Value: bson.D{{Key: "b", Value: 1}}}}},
		bson.A{bson.D{{Key: "b", Value: nil}}, bson.D{{Key: "b", Value: 2}}},
		bson.Binary{Data: []byte{1, 2}},
		bson.Binary{Data: []byte{1, 2, 3}},
		bson.Binary{Subtype: 4, Data: make([]byte, 16)},
		bson.Binary{Subtype: 5, Data: []byte{0, 2}},
		oid,
		bson.ObjectID{},
		true, false, bson.DateTime(0), bson.DateTime(-5), bson.DateTime(1e12),
		bson.Timestamp{T: 1, I: 2},
		bson.Timestamp{T: 1 << 31, I: 0},
		bson.Regex{Pattern: "abc", Options: "i"},
		bson.Regex{Pattern: "abc"},
		bson.DBPointer{DB: "x.y", Pointer: oid},
		bson.JavaScript("f()"),
		bson.CodeWithScope{Code: "f()", Scope: bson.D{{Key: "x", Value: 1}}},
		bson.CodeWithScope{Code: "f()", Scope: bson.D{}},
		bson.MinKey{},
		bson.MaxKey{},
	}
}

// corpus is a document for each value, one without the field, and some more.
func corpus(t testing.TB) []bson.Raw {
	t.Helper()
	docs := []bson.Raw{raw(t, bson.D{{Key: "_id", Value: 0}}), raw(t, bson.D{{Key: "_id", Value: 1}, {Key: "b", Value: 1}})}
	for _, v := range corpusValues() {
		docs = append(docs, raw(t, bson.D{{Key: "_id", Value: len(docs)}, {Key: "a", Value: v}, {Key: "b", Value: bson.A{1, bson.D{{Key: "c", Value: v}}}}}))
	}
	return docs
}

// corpusQueries are Extended JSON.
func corpusQueries() []string {
	return []string{
		`{}`, `{"a":1}`, `{"a":null}`, `{"a":{"$eq":null}}`, `{"a":{"$ne":null}}`, `{"a":{"$gte":null}}`, `{"a":{"$lte":null}}`, `{"a":{"$gt":null}}`,
		`{"a":{"$exists":true}}`, `{"a":{"$exists":false}}`, `{"a":{"$exists":0}}`, `{"a":{"$exists":null}}`, `{"a":{"$exists":"x"}}`,
		`{"a.b":null}`, `{"a.b":{"$exists":true}}`, `{"a.b":{"$exists":false}}`, `{"a.b":1}`, `{"a.b":{"$ne":1}}`, `{"a.b":{"$gt":1}}`, `{"a.b.c":5}`, `{"a.b.c":null}`,
		`{"a.0":1}`, `{"a.0":[1,2]}`, `{"a.0.b":1}`, `{"a.1.b":1}`, `{"a.0.0":1}`, `{"a.1.1.b":1}`, `{"a.0":null}`, `{"a.0":{"$exists":true}}`, `{"a.0.b":null}`, `{"a.b.0":1}`, `{"a.b.0":{"$gt":1}}`,
		`{"a.0.0.b":1}`, `{"a.0":{"$size":2}}`, `{"a.00":1}`, `{"a.-1":1}`, `{"b.c":1}`, `{"b.1.c":1}`, `{"b.1.c":null}`, `{"b.c":{"$exists":true}}`,
		`{"a":[1,2]}`, `{"a":[]}`, `{"a":[[1,2]]}`, `{"a":{"$gt":[1]}}`, `{"a":{"$lt":[1,3]}}`, `{"a":{}}`, `{"a":{"b":1}}`, `{"a":{"b":1,"c":2}}`, `{"a":{"$gt":{"b":1}}}`, `{"a":{"$lte":{"b":1,"c":2}}}`,
		`{"a":{"$gt":1}}`, `{"a":{"$gte":1}}`, `{"a":{"$lt":1}}`, `{"a":{"$lte":1}}`, `{"a":{"$gt":-1.5,"$lt":1.5}}`, `{"a":{"$numberDouble":"NaN"}}`, `{"a":{"$gt":{"$numberDouble":"NaN"}}}`, `{"a":{"$gte":{"$numberDouble":"NaN"}}}`,
		`{"a":{"$lt":{"$numberDouble":"NaN"}}}`, `{"a":{"$ne":{"$numberDouble":"NaN"}}}`, `{"a":{"$gte":{"$numberDouble":"Infinity"}}}`, `{"a":{"$numberDecimal":"0.1"}}`, `{"a":{"$gt":{"$numberDecimal":"0.1"}}}`, `{"a":{"$lt":{"$numberDecimal":"1E+6001"}}}`,
		`{"a":{"$numberLong":"9007199254740993"}}`, `{"a":{"$gt":9007199254740992.0}}`, `{"a":{"$gt":{"$numberLong":"9223372036854775807"}}}`, `{"a":{"$numberDecimal":"1.5"}}`, `{"a":{"$numberDecimal":"NaN"}}`,
		`{"a":{"$gt":""}}`, `{"a":{"$gte":"abc"}}`, `{"a":"abc"}`, `{"a":{"$in":["abc",1,null]}}`, `{"a":{"$nin":["abc",1,null]}}`, `{"a":{"$in":[]}}`, `{"a":{"$nin":[]}}`, `{"a":{"$in":[[1,2],{"b":1}]}}`,
		`{"a":{"$in":[{"$regularExpression":{"pattern":"^abc","options":"i"}}]}}`, `{"a":{"$nin":[{"$regularExpression":{"pattern":"^abc","options":""}}, 1]}}`, `{"a":{"$in":[{"$numberDecimal":"0.1"},{"$numberDouble":"NaN"}]}}`,
		`{"a":{"$regularExpression":{"pattern":"abc","options":"i"}}}`, `{"a":{"$eq":{"$regularExpression":{"pattern":"abc","options":"i"}}}}`, `{"a":{"$regex":"^abc$"}}`, `{"a":{"$regex":"^abc$","$options":"m"}}`, `{"a":{"$regex":"^A b C","$options":"xi"}}`,
		`{"a":{"$regex":"line.abc","$options":"s"}}`, `{"a":{"$regex":"[$]5"}}`, `{"a":{"$regex":"Ü","$options":"i"}}`, `{"a":{"$not":{"$regularExpression":{"pattern":"abc","options":""}}}}`, `{"a":{"$options":"i","$regex":"B"}}`, `{"a":{"$regex":"c\\Z"}}`, `{"a":{"$regex":"c\\z"}}`, `{"a":{"$regex":""}}`,
		`{"a":{"$not":{"$gt":1}}}`, `{"a":{"$not":{"$gt":1,"$lt":5}}}`, `{"a":{"$not":{"$not":{"$gt":1}}}}`, `{"a.b":{"$not":{"$gt":1}}}`,
		`{"a":{"$type":"number"}}`, `{"a":{"$type":"array"}}`, `{"a":{"$type":["string","null"]}}`, `{"a":{"$type":-1}}`, `{"a":{"$type":127}}`, `{"a":{"$type":"object"}}`, `{"a":{"$type":2}}`, `{"a":{"$type":"bool"}}`, `{"a":{"$not":{"$type":"number"}}}`, `{"a":{"$type":16.0}}`,
		`{"a":{"$size":1}}`, `{"a":{"$size":0}}`, `{"a":{"$size":2.0}}`, `{"a.b":{"$size":3}}`, `{"a.b":{"$size":2}}`,
		`{"a":{"$mod":[2,1]}}`, `{"a":{"$mod":[4,-3]}}`, `{"a":{"$mod":[2.9,1.2]}}`, `{"a":{"$mod":[-1,0]}}`, `{"a":{"$mod":[3,0]}}`,
		`{"a":{"$all":[1,2]}}`, `{"a":{"$all":[[1,2]]}}`, `{"a":{"$all":[]}}`, `{"a":{"$all":[null]}}`, `{"a":{"$all":[{"$elemMatch":{"b":1}},{"$elemMatch":{"c":9}}]}}`, `{"a":{"$all":[{"$regularExpression":{"pattern":"^a","options":""}},5]}}`, `{"a":{"$not":{"$all":[1]}}}`, `{"a.b":{"$all":[1,5]}}`,
		`{"a":{"$elemMatch":{"b":1}}}`, `{"a":{"$elemMatch":{"b":1,"c":9}}}`, `{"a":{"$elemMatch":{"$gt":1,"$lt":2.5}}}`, `{"a":{"$elemMatch":{}}}`, `{"a":{"$elemMatch":{"0":1}}}`, `{"a":{"$elemMatch":{"$elemMatch":{"$eq":1}}}}`,
		`{"a":{"$elemMatch":{"$or":[{"b":1},{"b":5}]}}}`, `{"a":{"$elemMatch":{"$not":{"$gt":1}}}}`, `{"a":{"$elemMatch":{"$in":[1,null]}}}`, `{"a":{"$elemMatch":{"$size":2}}}`, `{"a":{"$elemMatch":{"$exists":true}}}`, `{"a":{"$elemMatch":{"$exists":false}}}`, `{"a.b":{"$elemMatch":{"$gt":2}}}`, `{"a":{"$elemMatch":{"b":null}}}`, `{"a":{"$elemMatch":{"$ne":1}}}`, `{"a":{"$elemMatch":{"$type":"array"}}}`, `{"a":{"$elemMatch":{"$eq":null}}}`, `{"a":{"$elemMatch":{"$regex":"^a"}}}`, `{"a":{"$elemMatch":{"$all":[1]}}}`,
		`{"a":{"$gt":{"$minKey":1}}}`, `{"a":{"$lt":{"$maxKey":1}}}`, `{"a":{"$gte":{"$maxKey":1}}}`, `{"a":{"$lte":{"$minKey":1}}}`, `{"a":{"$minKey":1}}`, `{"a":{"$ne":{"$maxKey":1}}}`,
		`{"a":{"$gt":{"$binary":{"base64":"AQI=","subType":"00"}}}}`, `{"a":{"$lte":{"$binary":{"base64":"AQID","subType":"00"}}}}`, `{"a":{"$gt":{"$oid":"000000000000000000000000"}}}`, `{"a":{"$lt":true}}`, `{"a":{"$gte":{"$date":{"$numberLong":"-5"}}}}`, `{"a":{"$gt":{"$timestamp":{"t":1,"i":2}}}}`,
		`{"a":{"$code":"f()"}}`, `{"a":{"$code":"f()","$scope":{"x":1.0}}}`, `{"a":{"$lt":{"$code":"f()","$scope":{"x":1}}}}`, `{"a":{"$dbPointer":{"$ref":"x.y","$id":{"$oid":"010203000000000000000000"}}}}`, `{"a":{"$symbol":"abc"}}`,
		`{"$and":[{"a":{"$gt":0}},{"a":{"$lt":2}}]}`, `{"$or":[{"a":1},{"a":"abc"}]}`, `{"$nor":[{"a":1},{"a.b":1}]}`, `{"$and":[{}],"a":1,"$comment":"x"}`, `{"$or":[{"$and":[{"a":1},{"b":1}]},{"$nor":[{"a":{"$exists":true}}]}]}`,
		`{"_id":3}`, `{"_id":{"$in":[3,4.0,99]}}`, `{"_id":{"$numberDecimal":"5.0"}}`, `{"a":{"$ref":"x","$id":1}}`, `{"a..b":1}`, `{"":1}`,
	}
}

// refusedQueries are refused by Compile; those in the second list are refused by
// MongoDB as well.
func refusedQueries() (ours, both []string) {
	return []string{`{"$expr":{"$eq":["$a",1]}}`, `{"$where":"1"}`, `{"$jsonSchema":{}}`, `{"a":{"$regex":"(?=a)"}}`, `{"a":{"$bitsAllSet":1}}`},
		[]string{
			`{"$and":[]}`, `{"$or":1}`, `{"$nor":[1]}`, `{"$wat":1}`, `{"a":{"$wat":1}}`, `{"a":{"$gt":1,"b":2}}`, `{"a":{"$in":1}}`, `{"a":{"$in":[{"$gt":1}]}}`,
			`{"a":{"$not":1}}`, `{"a":{"$not":{}}}`, `{"a":{"$ne":{"$regularExpression":{"pattern":"a","options":""}}}}`, `{"a":{"$gt":{"$regularExpression":{"pattern":"a","options":""}}}}`,
			`{"a":{"$options":"i"}}`, `{"a":{"$regex":1}}`, `{"a":{"$regex":"a","$options":"q"}}`, `{"a":{"$regex":"("}}`, `{"a":{"$regex":{"$regularExpression":{"pattern":"a","options":"i"}},"$options":"i"}}`,
			`{"a":{"$size":-1}}`, `{"a":{"$size":1.5}}`, `{"a":{"$size":"1"}}`, `{"a":{"$type":"wat"}}`, `{"a":{"$type":[]}}`, `{"a":{"$type":1.5}}`, `{"a":{"$mod":[0,1]}}`, `{"a":{"$mod":[1]}}`, `{"a":{"$mod":["a",1]}}`,
			`{"a":{"$all":1}}`, `{"a":{"$all":[1,{"$elemMatch":{"b":1}}]}}`, `{"a":{"$all":[{"$gt":1}]}}`, `{"a":{"$elemMatch":1}}`,
		}
}
