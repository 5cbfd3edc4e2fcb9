//go:build integration

package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"sluice/internal/testkit"
	"sluice/internal/web"
)

// script writes a script of the stage.
func (s *watchStage) script(t *testing.T, name, code string) {
	t.Helper()
	sure(t, os.WriteFile(filepath.Join(s.dir, name), []byte(code), 0o600))
}

// field sets a field of a document of a, or takes it away.
func (s *watchStage) field(t *testing.T, id int, op string, value any) {
	t.Helper()
	if _, err := s.db.Collection("a").UpdateByID(t.Context(), id, bson.D{{Key: op, Value: bson.D{{Key: "deletedAt", Value: value}}}}); err != nil {
		t.Fatal(err)
	}
}

// TestS14Scripts: a document leaves the index when its script says so, and comes back;
// what the script throws on, and what it never ends with, is a dead letter that holds up
// nobody; a mended script comes into force by itself, and a retry settles the letter.
func TestS14Scripts(t *testing.T) {
	s := newWatchStage(t)
	s.accept = true
	const before = "module.exports = function(doc) {\n    if (!!doc.deletedAt) {\n        return false;\n    }\n"
	s.script(t, "a.js", before+"    while (doc.name === 'endless') {}\n    doc.name.length;\n    return true;\n}\n")
	s.put(t, "a", 0, 10, "x")
	s.field(t, 3, "$set", time.Now())
	s.write(t, "flows:\n  - {name: one, namespaces: [DB.a], on: {delete: keep}, scripts: [{namespace: DB.a, path: DIR/a.js, mode: monstache, timeout: 200ms}]}\n")
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, "a", want{0, 3, "live x"}, want{4, 10, "live x"})

	s.field(t, 5, "$set", time.Now())
	s.field(t, 3, "$unset", 1)
	s.wantIndex(t, "a", want{0, 5, "live x"}, want{6, 10, "live x"})
	s.field(t, 5, "$unset", 1)
	s.wantIndex(t, "a", want{0, 10, "live x"})

	for _, d := range []bson.D{{{Key: "_id", Value: 10}, {Key: "n", Value: 10}}, {{Key: "_id", Value: 11}, {Key: "n", Value: 11}, {Key: "name", Value: "endless"}}, {{Key: "_id", Value: 12}, {Key: "n", Value: 12}, {Key: "name", Value: "x"}}} {
		s.set(t, d[0].Value.(int), d)
	}
	s.wantIndex(t, "a", want{0, 10, "live x"}, want{12, 13, "live x"})
	s.wantLetters(t, a, 2)
	list, err := flowCommands{a}.Command(t.Context(), web.FlowCommand{Flow: "one", Verb: web.FlowLetters, Errors: true})
	sure(t, err)
	told := map[string]string{}
	for _, l := range list.(DeadLetterList).Letters {
		told[l.Reason] = l.Error
	}
	if !strings.Contains(told["script"], "a.js:6:14: TypeError: Cannot read property 'length' of undefined") || !strings.Contains(told["script_cut"], "a.js:5:") {
		t.Errorf("%v", told)
	}

	s.script(t, "a.js", before+"    return true;\n}\n")
	generation(t, a, 2)
	done, err := flowCommands{a}.Command(t.Context(), web.FlowCommand{Flow: "one", Verb: web.FlowRetry})
	sure(t, err)
	if r := done.(DeadLetterRetry); r.Closed != 2 {
		t.Errorf("%+v", r)
	}
	s.wantLetters(t, a, 0)
	s.wantIndex(t, "a", want{0, 10, "live x"}, want{10, 11, "live"}, want{11, 12, "live endless"}, want{12, 13, "live x"})

	s.script(t, "a.js", "module.exports = function(doc) {\n")
	refused(t, a, "a.js:")
	sure(t, stop())
}

// TestS12ScriptIsPartOfTheShape: another script is another shape, on disk as well.
func TestS12ScriptIsPartOfTheShape(t *testing.T) {
	s := newWatchStage(t)
	s.put(t, "a", 0, 3, "x")
	s.script(t, "a.js", "module.exports = doc => doc")
	s.write(t, "flows:\n  - {name: one, namespaces: [DB.a], scripts: [{path: DIR/a.js}]}\n")
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	s.script(t, "a.js", "module.exports = doc => { doc.name = 'y'; return doc }")
	refused(t, a, "resync")
	sure(t, stop())
	a, stop = run(t, Options{Config: s.options(t, 0).Config, Resync: []string{"all"}})
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, "a", want{0, 3, "live y"})
	sure(t, stop())
}

// TestScriptsAskMongoDB: what a script finds in another collection is in the document.
func TestScriptsAskMongoDB(t *testing.T) {
	s := newWatchStage(t)
	s.put(t, "b", 0, 3, "of b")
	s.put(t, "a", 0, 3, "x")
	s.script(t, "a.js", `module.exports = function (doc) {
		var db = {collection: 'b'};
		doc.name = [
			findOne({n: doc.n}, db).name, findId(doc._id, {collection: 'b', select: {name: 1}}).n === undefined,
			find({}, {collection: 'b', sort: {n: -1}, limit: 2}).map(function (d) { return d.n }).join(''),
			pipe([{$match: {n: {$lte: doc.n}}}, {$count: 'c'}], db)[0].c, findId('none', db) === null, find({n: 77}, db).length
		].join(' ');
		return doc;
	}`)
	s.write(t, "flows:\n  - {name: one, namespaces: [DB.a], scripts: [{path: DIR/a.js, mode: monstache}]}\n")
	a, stop := s.start(t, often)
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantIndex(t, "a", want{0, 1, "live of b true 21 1 true 0"}, want{1, 2, "live of b true 21 2 true 0"}, want{2, 3, "live of b true 21 3 true 0"})
	s.script(t, "a.js", "module.exports = function (doc) { findOne({$no: 1}); return doc }")
	sure(t, stop())
	cfg := s.options(t, 0).Config
	cfg.Flows[0].Scripts[0].Mode = "native"
	a, stop = run(t, Options{Config: cfg, Resync: []string{"all"}})
	testkit.Eventually(t, time.Minute, copied(a))
	s.wantLetters(t, a, 3)
	sure(t, stop())
}

// TestDoctorTriesScripts: doctor tells on how many documents a script would fail.
func TestDoctorTriesScripts(t *testing.T) {
	s := newWatchStage(t)
	s.put(t, "a", 0, 3, "x")
	s.script(t, "a.js", "module.exports = function (doc) { return doc.missing.x }")
	s.write(t, "flows:\n  - {name: one, namespaces: [DB.a], scripts: [{path: DIR/a.js}]}\n")
	d, err := Doctor(t.Context(), DoctorOptions{Config: s.options(t, 0).Config})
	sure(t, err)
	for _, f := range d.Findings {
		if strings.Contains(f.What, "a script fails on 3 of 3 documents looked at") && strings.Contains(f.Cause, "a.js:1:") {
			return
		}
	}
	t.Errorf("%+v", d.Findings)
}
