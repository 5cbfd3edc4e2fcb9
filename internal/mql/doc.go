// Package mql matches documents against a part of MongoDB's query language, as
// raw BSON and without decoding whole documents: for what lies in an archive and
// no server can be asked about.
//
// It matches as MongoDB does without a collation: dotted paths go through
// arrays, a comparison looks only at values of its own kind, numbers compare
// across their types, and a missing field equals null. What is not supported is
// refused by Compile with the list of what is; a query is never half applied.
//
// Known differences: regular expressions are those of Go (RE2: no look-around,
// no back references; refused by Compile, never misread), and a double is
// compared with a decimal by its exact value, where the server rounds it to 34
// digits first; and the old type undefined does not equal null, as in MongoDB 8.0.
//
// It opens no connection, holds no state, and must stay free of it. Documents
// must be valid BSON; in a broken one, what follows the break is taken for
// missing.
package mql
