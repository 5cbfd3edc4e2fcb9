//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
)

// archived is a vault whose old documents, n of them in a few packs, are in the
// archive; the second result is what was there before.
func archived(t *testing.T, n int) (*vault, map[string]string) {
	t.Helper()
	v := newVault(t, vaultOptions{Rule: ", pack_size: 1MB, hold_restored: 0"})
	v.fill(t, n, 2500)
	before := v.raw(t)
	if r := v.runOnce(t); r.Deleted != int64(n) || r.Run.Packs < 2 {
		t.Fatalf("%+v, %+v", r, r.Run)
	}
	return v, before
}

// TestA4ArchiveReads: every verb that reads the archive, as text and as JSON.
func TestA4ArchiveReads(t *testing.T) {
	t.Parallel()
	const n = 1000
	v, before := archived(t, n)
	packs := v.packsIn(t, cold.PackClosed)

	var list []struct {
		Run   cold.Run
		Packs []cold.Pack
	}
	// The journal tells of all rules, also of those of other configurations.
	v.json(t, &list, "archive", "ls", "--rule", v.rule)
	if len(list) != 1 || len(list[0].Packs) != len(packs) || list[0].Run.Docs != n || list[0].Run.State != cold.RunClosed {
		t.Fatalf("%+v", list)
	}
	run := list[0].Run.ID
	wantWords(t, v.must(t, "archive", "ls"), run, "closed", v.ns())
	wantWords(t, v.must(t, "archive", "ls", "--packs"), run, packs[0].ID, packs[len(packs)-1].Object)
	var shown struct {
		Run   cold.Run
		Packs []cold.Pack
	}
	v.json(t, &shown, "archive", "show", run)
	if shown.Run.ID != run || len(shown.Packs) != len(packs) || shown.Run.Deleted != n {
		t.Errorf("%+v", shown)
	}
	wantWords(t, v.must(t, "archive", "show", run), run, "1000 in", "1000 deleted", packs[1].ID)
	for _, verb := range []string{"show", "cat"} {
		if r := v.do(t, "archive", verb, "nothing"); r.code == 0 || !strings.Contains(r.errOut, "nothing") || !strings.Contains(r.errOut, "\n  ") {
			t.Errorf("%s of what is not there: exit code %d\n%s", verb, r.code, r.errOut)
		}
	}
	for _, args := range [][]string{{"archive", "verify"}, {"archive", "verify", "--deep"}} {
		wantWords(t, v.must(t, args...), packs[0].Object, fmt.Sprintf("%d packs with %d documents", len(packs), n), "0 with a problem")
		lines := jsonLines[struct {
			Pack    string
			Docs    int
			Deep    bool
			Problem string
		}](t, v.must(t, append(args, "--json")...))
		docs := 0
		for _, l := range lines {
			docs += l.Docs
			if l.Problem != "" || l.Deep != (len(args) == 3) {
				t.Errorf("%v: %+v", args, l)
			}
		}
		if docs != n {
			t.Errorf("%v: %d documents", args, docs)
		}
	}
	t.Run("find", func(t *testing.T) { v.finds(t, n, before, packs) })
	all := map[string]string{}
	for _, p := range packs {
		docs, err := bsonStream([]byte(v.must(t, "archive", "cat", p.ID)))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			all[d.Lookup("_id").String()] = string(d)
		}
	}
	for i := n; i < 2*n; i++ {
		delete(before, rawInt(i)) // the young ones
	}
	wantSame(t, all, before)
}

func jsonLines[T any](t *testing.T, text string) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(text) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, v)
	}
	return all
}

// finds looks for documents in every way.
func (v *vault) finds(t *testing.T, n int, before map[string]string, packs []cold.Pack) {
	for _, x := range []struct {
		want int
		args []string
	}{
		{1, []string{"--id", "7"}},
		{2, []string{"--id", "7", "--id", `{"$numberLong": "8"}`}},
		{0, []string{"--id", fmt.Sprint(n + 1)}},
		{0, []string{"--id", "seven"}},
		{n / 10, []string{"--query", `{"who": "user-3"}`}},
		{10, []string{"--query", `{"who": "user-3", "_id": {"$lt": 100}}`}},
		{60, []string{"--from", "2019-01-01T00:01:00Z", "--to", "2019-01-01T00:02:00Z"}},
		{6, []string{"--from", "2019-01-01T00:01:00Z", "--to", "2019-01-01T00:02:00Z", "--query", `{"who": {"$in": ["user-5"]}}`}},
		{0, []string{"--to", "2019-01-01"}},
		{n, []string{"--namespace", v.ns()}},
		{0, []string{"--namespace", v.db.Name() + ".young"}},
		{packs[0].Docs, []string{"--pack", packs[0].ID}},
		{5, []string{"--limit", "5"}},
		{n, []string{"--rule", v.rule}},
	} {
		args := append([]string{"archive", "find"}, x.args...)
		docs := 0
		for line := range strings.Lines(v.must(t, args...)) {
			var d bson.Raw
			if err := bson.UnmarshalExtJSON([]byte(line), true, &d); err != nil {
				t.Fatal(err)
			}
			if string(d) != before[d.Lookup("_id").String()] {
				t.Errorf("%v: found is %s", x.args, line)
			}
			docs++
		}
		lines := jsonLines[struct {
			Rule, Namespace, Pack, Object, Outcome string
			Document                               json.RawMessage
		}](t, v.must(t, append(args, "--json")...))
		if docs != x.want || len(lines) != x.want {
			t.Errorf("%v: %d and %d found, want %d", x.args, docs, len(lines), x.want)
		}
		for _, l := range lines {
			if l.Rule != v.rule || l.Namespace != v.ns() || l.Outcome != "deleted" || l.Pack == "" || !strings.Contains(l.Object, l.Pack) || len(l.Document) == 0 {
				t.Errorf("%v: %+v", x.args, l)
			}
		}
	}
	for _, args := range [][]string{{"--query", "{who:"}, {"--id", "{x"}, {"--from", "yesterday"}, {"--query", `{"$where": "1"}`}, {"--rule", "nobody", "--bad"}} {
		if r := v.do(t, append([]string{"archive", "find"}, args...)...); r.code != 2 || r.errOut == "" {
			t.Errorf("%v: exit code %d\n%s", args, r.code, r.errOut)
		}
	}
}

// TestA9ArchiveForget: what is forgotten is found nowhere any more, neither by
// find nor by cat nor in the bytes of the bucket; the others stay.
func TestA9ArchiveForget(t *testing.T) {
	t.Parallel()
	const n = 1000
	v, before := archived(t, n)
	stranger := map[string]string{}
	var done struct {
		Documents, Packs int
		Rewritten, Audit []string
	}
	if r := v.do(t, "archive", "forget"); r.code != 2 {
		t.Errorf("without a choice: exit code %d", r.code)
	}
	decodeForgotten := func(args ...string) {
		t.Helper()
		r := v.do(t, append([]string{"archive", "forget", "--json"}, args...)...)
		if r.code != 0 && r.code != 3 { // 3: the oplog still tells of them
			t.Fatalf("exit code %d\n%s", r.code, r.errOut)
		}
		done.Documents, done.Packs, done.Rewritten, done.Audit = 0, 0, nil, nil
		decodeAll(t, r.out, &done)
	}
	decodeForgotten("--query", `{"who": "user-3"}`, "--dry-run")
	if done.Documents != n/10 || len(done.Audit) != 0 {
		t.Errorf("dry run: %+v", done)
	}
	objects := v.objects(t)
	decodeForgotten("--id", "7", "--reason", "asked for")
	if done.Documents != 1 || done.Packs != 1 || len(done.Rewritten) != 1 || len(done.Audit) != 1 {
		t.Errorf("%+v", done)
	}
	decodeForgotten("--query", `{"who": "user-3"}`)
	if done.Documents != n/10 || done.Packs < 2 || len(done.Rewritten) != done.Packs {
		t.Errorf("%+v", done)
	}
	decodeForgotten("--id", "7")
	if done.Documents != 0 {
		t.Errorf("again: %+v", done)
	}
	for _, args := range [][]string{{"--id", "7"}, {"--query", `{"who": "user-3"}`}, {"--query", `{"who": "user-3"}`, "--versions"}} {
		if out := v.must(t, append([]string{"archive", "find"}, args...)...); out != "" {
			t.Errorf("%v: still found: %s", args, tail(out, 500))
		}
	}
	v.must(t, "archive", "gc", "--older-than", "0s")
	for key := range v.objects(t) {
		stranger[key] = ""
	}
	kept := 0
	for key := range objects {
		if _, ok := stranger[key]; ok {
			kept++
		}
	}
	if kept > len(objects)/2 {
		t.Errorf("%d of %d objects are as before", kept, len(objects))
	}
	v.must(t, "archive", "verify", "--deep")
	v.must(t, "archive", "rebuild-catalogue")
	v.must(t, "restore", "--all")
	for i := range n {
		if i%10 == 3 || i == 7 {
			delete(before, rawInt(i))
		}
	}
	wantSame(t, v.raw(t), before)
}

// TestA4ArchiveGC: objects that belong to no pack are removed, once they are
// old enough, and nothing else.
func TestA4ArchiveGC(t *testing.T) {
	t.Parallel()
	v, before := archived(t, 800)
	had := v.objects(t)
	p := v.packsIn(t, cold.PackClosed)[0]
	stray := strings.Replace(p.Object, p.ID, "20200101T000000000-0123456789", 1)
	v.put(t, stray, "half a pack")
	type garbage struct {
		Object string
		Bytes  int64
		Why    string
	}
	var found []garbage
	v.json(t, &found, "archive", "gc")
	if len(found) != 0 {
		t.Errorf("of the last 24 hours: %+v", found)
	}
	v.json(t, &found, "archive", "gc", "--older-than", "0s", "--dry-run")
	if len(found) != 1 || found[0].Object != stray || found[0].Bytes != 11 || found[0].Why == "" || len(v.objects(t)) != len(had)+1 {
		t.Errorf("dry run: %+v", found)
	}
	wantWords(t, v.must(t, "archive", "gc", "--older-than", "0s"), stray, "1 objects removed", "11 B")
	after := v.objects(t)
	for key, o := range had {
		if after[key] != o {
			t.Errorf("%s is %+v", key, after[key])
		}
	}
	if len(after) != len(had) {
		t.Errorf("%d objects, %d before", len(after), len(had))
	}
	v.must(t, "restore", "--all")
	wantSame(t, v.raw(t), before)
}

// TestA8Restore: to where the documents were, to another collection and another
// database, without a word about it (dry run), and what is done about documents
// that are live.
func TestA8Restore(t *testing.T) {
	t.Parallel()
	const n = 800
	v, before := archived(t, n)
	type back struct{ Found, Inserted, Replaced, Equal, Conflicts, Duplicates, Refused int64 }
	try := func(code int, args ...string) (b back) {
		t.Helper()
		r := v.do(t, append([]string{"restore", "--json"}, args...)...)
		if r.code != code {
			t.Fatalf("restore %v: exit code %d\n%s%s", args, r.code, r.out, tail(r.errOut, 2000))
		}
		decodeAll(t, r.out, &b)
		return b
	}
	if r := v.do(t, "restore"); r.code != 0 && r.code != 2 || v.count(t) != n {
		t.Errorf("without a choice: exit code %d", r.code)
	}
	if b := try(0, "--all", "--dry-run"); b.Found != n || b.Inserted != n || v.count(t) != n {
		t.Errorf("dry run: %+v, %d documents", b, v.count(t))
	}
	if b := try(0, "--all", "--to-namespace", v.db.Name()+".copy"); b.Inserted != n {
		t.Errorf("to another collection: %+v", b)
	}
	other := v.client.Database(v.db.Name() + "_2")
	if b := try(0, "--query", `{"_id": {"$lt": 100}}`, "--to-namespace", other.Name()); b.Inserted != 100 {
		t.Errorf("to another database: %+v", b)
	}
	for coll, want := range map[*mongo.Collection]int{v.db.Collection("copy"): n, other.Collection("old"): 100} {
		docs, err := raw(t.Context(), coll)
		if err != nil || len(docs) != want {
			t.Fatalf("%d documents in %s: %v", len(docs), coll.Name(), err)
		}
		for id, doc := range docs {
			if doc != before[id] {
				t.Errorf("%s: _id %s is %x", coll.Name(), id, doc)
			}
		}
		// A new collection has the indexes of the old one.
		if cur, err := coll.Indexes().List(t.Context()); err != nil {
			t.Error(err)
		} else if wantIndexes := []bson.M{}; cur.All(t.Context(), &wantIndexes) != nil || len(wantIndexes) != 2 {
			t.Errorf("%s: indexes %v", coll.Name(), wantIndexes)
		}
	}

	// A user has put others in the place of two, and the same in that of one.
	byHand(t, v, 5, bson.D{{Key: "_id", Value: 5}, {Key: "at", Value: time.Now()}, {Key: "n", Value: "of a user"}})
	if _, err := v.coll().InsertOne(t.Context(), bson.Raw(before[rawInt(6)])); err != nil {
		t.Fatal(err)
	}
	ids := []string{"--id", "5", "--id", "6", "--id", "7"}
	if b := try(3, append(ids, "--dry-run")...); b.Conflicts != 1 || b.Equal != 1 || b.Inserted != 1 {
		t.Errorf("dry run: %+v", b)
	}
	r := v.do(t, append([]string{"restore", "--on-conflict", "fail"}, ids...)...)
	if r.code == 0 {
		t.Errorf("fail: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	if b := try(3, ids...); b.Conflicts != 1 || b.Equal+b.Inserted != 2 {
		t.Errorf("keep-live: %+v", b)
	}
	wantWords(t, v.do(t, append([]string{"restore"}, ids...)...).out, `{"$numberInt":"5"}`, "conflict", "another document with this key is live")
	// No archived version of it is what the user has made: it stays.
	if b := try(3, append(ids, "--on-conflict", "replace-older")...); b.Replaced != 0 || b.Conflicts != 1 {
		t.Errorf("replace-older of a user's document: %+v", b)
	}
	v.replacesOlder(t, before)
	byHand(t, v, 5, nil)
	if b := try(0, "--all"); b.Inserted+b.Equal+b.Replaced != n {
		t.Errorf("all: %+v", b)
	}
}

// byHand puts a document in the place of id, or none.
func byHand(t *testing.T, v *vault, id int, doc bson.D) {
	t.Helper()
	var err error
	if doc == nil {
		_, err = v.coll().DeleteOne(t.Context(), bson.D{{Key: "_id", Value: id}})
	} else {
		_, err = v.coll().ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: id}}, doc, options.Replace().SetUpsert(true))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// replacesOlder: a document is archived in two versions; the older one, live
// again, gives way to the newer one.
func (v *vault) replacesOlder(t *testing.T, before map[string]string) {
	t.Helper()
	at := time.Date(2019, 6, 1, 0, 0, 0, 0, time.UTC)
	byHand(t, v, 8, bson.D{{Key: "_id", Value: 8}, {Key: "at", Value: at}, {Key: "n", Value: "newer"}})
	v.runOnce(t)
	older := bson.Raw(before[rawInt(8)])
	if _, err := v.coll().InsertOne(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	if out := v.must(t, "archive", "find", "--id", "8", "--versions"); strings.Count(out, "\n") != 2 {
		t.Errorf("%d versions are found", strings.Count(out, "\n"))
	}
	if out := v.must(t, "archive", "find", "--id", "8"); !strings.Contains(out, "newer") || strings.Count(out, "\n") != 1 {
		t.Errorf("found is %s", out)
	}
	var b struct{ Replaced int }
	v.json(t, &b, "restore", "--id", "8", "--on-conflict", "replace-older")
	var got struct{ N any }
	if err := v.coll().FindOne(t.Context(), bson.D{{Key: "_id", Value: 8}}).Decode(&got); err != nil || got.N != "newer" || b.Replaced != 1 {
		t.Errorf("replace-older: %+v, %v is live: %v", b, got.N, err)
	}
}

// TestA7ArchivePauses: a running sluice pauses at once when told to, says so,
// and goes on.
func TestA7ArchivePauses(t *testing.T) {
	t.Parallel()
	v := newVault(t, vaultOptions{Rule: ", schedule: {every: 1s}, batch: {docs: 100}, pack_size: 1MB, limits: {docs_per_second: 400}"})
	v.fill(t, 2000, 2500)
	p := start(t, "run", "-c", v.file)
	url := "http://" + p.addr
	p.eventually(t, time.Minute, func() error {
		if n := v.count(t); n == 4000 {
			return fmt.Errorf("nothing is deleted yet")
		}
		return nil
	})
	wantWords(t, verb(t, nil, "archive", "pause", "--url", url, "--rule", v.rule).out, "paused", v.rule)
	waits := func() error {
		st, err := p.status(t.Context())
		if err != nil {
			return err
		}
		if len(st.Archive) != 1 || st.Archive[0].Paused == "" || len(st.Archive[0].Collections) != 1 || st.Archive[0].Collections[0].Wait == "" {
			return fmt.Errorf("the status is %+v", st.Archive)
		}
		return nil
	}
	p.eventually(t, 30*time.Second, waits)
	r := verb(t, nil, "status", "--url", url)
	wantWords(t, r.out, v.rule, "paused", "waits:")
	if r = verb(t, nil, "status", "--url", url, "--json"); !strings.Contains(r.out, `"paused"`) {
		t.Errorf("status --json: %s", r.out)
	}
	n := v.count(t)
	if r = verb(t, nil, "archive", "pause", "--url", url, "--rule", "nobody"); r.code == 0 || !strings.Contains(r.errOut, "nobody") {
		t.Errorf("pause of a rule that is not there: exit code %d\n%s", r.code, r.errOut)
	}
	if got := v.count(t); got != n {
		t.Errorf("while it pauses %d documents became %d", n, got)
	}
	wantWords(t, verb(t, nil, "archive", "resume", "--url", url).out, "resumed")
	p.eventually(t, time.Minute, func() error {
		if got := v.count(t); got != 2000 {
			return fmt.Errorf("%d documents are left", got)
		}
		return nil
	})
	p.eventually(t, time.Minute, func() error {
		if left := v.packsIn(t, atWork()...); len(left) > 0 {
			return fmt.Errorf("left unfinished: %+v", left)
		}
		return nil
	})
	p.wantDrain(t)
	if r = verb(t, nil, "archive", "pause", "--url", url); r.code != 1 || !strings.Contains(r.errOut, "is sluice running there?") {
		t.Errorf("pause of nobody: exit code %d\n%s", r.code, r.errOut)
	}
}
