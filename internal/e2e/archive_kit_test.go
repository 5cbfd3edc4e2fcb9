//go:build integration

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/cold"
	"sluice/internal/objstore"
	"sluice/internal/pack"
	"sluice/internal/testkit"
)

// vault is what a test of the archive stands on: a database, a prefix in the
// bucket of an S3 server, and a configuration with one rule.
type vault struct {
	uri, rule, dir, file string
	client               *mongo.Client
	db                   *mongo.Database
	s3                   *testkit.S3
	prefix               string
}

// vaultOptions say what is different from one rule over the collection old on
// the shared servers.
type vaultOptions struct {
	// Mongo takes the place of the shared server.
	Mongo string
	// Endpoint takes the place of that of the S3 server: a proxy's.
	Endpoint string
	// S3 takes the place of the shared server.
	S3 *testkit.S3
	// Rule has more fields of the rule, Top more sections; DB and RULE stand for
	// the database and the rule.
	Rule, Top string
	// To takes the place of the S3 server.
	To string
}

func newVault(t *testing.T, o vaultOptions) *vault {
	t.Helper()
	if o.Mongo == "" {
		o.Mongo = testkit.SharedMongo(t).URI()
	}
	if o.S3 == nil {
		o.S3 = testkit.SharedS3(t)
	}
	if o.Endpoint == "" {
		o.Endpoint = o.S3.Endpoint()
	}
	name := testkit.UniqueName(t)
	client := connect(t, o.Mongo)
	v := &vault{
		uri: o.Mongo, rule: strings.ReplaceAll(name, "_", "-"), dir: t.TempDir(), client: client,
		db: client.Database(name), s3: o.S3, prefix: name,
	}
	if o.To == "" {
		o.To = "s3://" + v.s3.Bucket() + "/" + v.prefix
	}
	own := strings.NewReplacer("RULE", v.rule, "DB", name)
	v.file = filepath.Join(v.dir, "sluice.yaml")
	v.configure(t, fmt.Sprintf(`
mongodb: {uri: %q}
state: {path: %q}
s3: {endpoint: %q, region: %s, path_style: true, access_key: %q, secret_key: %q, part_size: 5MiB}
governor: {max_dirty: 1, max_queue: 0}
%s
archive:
- {name: %s, namespace: %s.old, field: at, older_than: 365d, max_share: 1, to: %q%s}
`, v.uri, filepath.Join(v.dir, "state"), o.Endpoint, v.s3.Region(), v.s3.AccessKey(), v.s3.SecretKey(),
		own.Replace(o.Top), v.rule, name, o.To, own.Replace(o.Rule)))
	return v
}

// configure writes the configuration.
func (v *vault) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(v.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// variant writes a configuration beside the vault's in which pairs of texts are
// replaced.
func (v *vault) variant(t *testing.T, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(v.file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(text, []byte(pairs[i])) {
			t.Fatalf("the configuration has no %q", pairs[i])
		}
	}
	return configFile(t, strings.NewReplacer(pairs...).Replace(string(text)))
}

func (v *vault) coll() *mongo.Collection { return v.db.Collection("old") }

func (v *vault) ns() string { return v.db.Name() + ".old" }

// own is a collection of the archive's rows.
func (v *vault) own(name string) *mongo.Collection {
	return v.client.Database("sluice").Collection(name)
}

// fill indexes the age field, and inserts old documents with the numbers from
// 0 to n-1 and as many young ones above.
func (v *vault) fill(t *testing.T, n, pad int) {
	t.Helper()
	v.index(t)
	v.add(t, 0, n, pad, time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC))
	v.add(t, n, 2*n, 0, time.Now())
}

func (v *vault) index(t *testing.T) {
	t.Helper()
	index := mongo.IndexModel{Keys: bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}}
	if _, err := v.coll().Indexes().CreateOne(t.Context(), index); err != nil {
		t.Fatal(err)
	}
}

// add inserts documents with the numbers from a to b-1, a second of age apart.
// pad bytes in each can't be compressed.
func (v *vault) add(t *testing.T, a, b, pad int, at time.Time) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(a), uint64(b)))
	for a < b {
		var batch []any
		for size := 0; a < b && len(batch) < 5000 && size < 8<<20; a++ {
			batch = append(batch, agedDoc(r, a, pad, at.Add(time.Duration(a)*time.Second)))
			size += pad
		}
		if _, err := v.coll().InsertMany(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}

func agedDoc(r *rand.Rand, id, pad int, at time.Time) bson.D {
	noise := make([]byte, pad)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return bson.D{
		{Key: "_id", Value: id},
		{Key: "at", Value: at},
		{Key: "n", Value: r.Int32()},
		{Key: "x", Value: r.NormFloat64()},
		{Key: "who", Value: fmt.Sprintf("user-%d", id%10)},
		{Key: "noise", Value: bson.Binary{Data: noise}},
	}
}

// raw returns all documents of a collection by _id, each byte for byte.
func raw(ctx context.Context, coll *mongo.Collection) (map[string]string, error) {
	cur, err := coll.Find(ctx, bson.D{}, options.Find().SetBatchSize(10000))
	if err != nil {
		return nil, err
	}
	defer func() { _ = cur.Close(context.WithoutCancel(ctx)) }()
	docs := map[string]string{}
	for cur.Next(ctx) {
		id := cur.Current.Lookup("_id").String()
		if _, twice := docs[id]; twice {
			return nil, fmt.Errorf("two documents have the _id %s", id)
		}
		docs[id] = string(cur.Current)
	}
	return docs, cur.Err()
}

func (v *vault) raw(t *testing.T) map[string]string {
	t.Helper()
	docs, err := raw(t.Context(), v.coll())
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

// wantSame compares two sets of documents, byte for byte.
func wantSame(t *testing.T, got, want map[string]string) {
	t.Helper()
	bad := 0
	for id, doc := range want {
		if got[id] == doc {
			continue
		}
		if bad++; bad <= 3 {
			t.Errorf("_id %s is\n%x, want\n%x", id, got[id], doc)
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			bad++
			t.Errorf("_id %s should not be there", id)
		}
	}
	if bad > 0 {
		t.Fatalf("%d of %d documents are wrong; %d are there", bad, len(want), len(got))
	}
}

func (v *vault) count(t *testing.T) int {
	t.Helper()
	n, err := v.coll().CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// do runs a verb of the archive on the vault's configuration.
func (v *vault) do(t *testing.T, args ...string) result {
	t.Helper()
	return verb(t, nil, append(args, "-c", v.file)...)
}

// must runs a verb that has to succeed, and returns its output.
func (v *vault) must(t *testing.T, args ...string) string {
	t.Helper()
	r := v.do(t, args...)
	if r.code != 0 {
		t.Fatalf("sluice %v: exit code %d\n%s%s", args, r.code, r.out, tail(r.errOut, 4000))
	}
	return r.out
}

// json runs a verb with --json that has to succeed, and decodes what it prints.
func (v *vault) json(t *testing.T, into any, args ...string) {
	t.Helper()
	decodeAll(t, v.must(t, append(args, "--json")...), into)
}

func decodeAll(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v\n%s", err, tail(text, 2000))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one value:\n%s", tail(text, 2000))
	}
}

// reported is what is told of a run.
type reported struct {
	Rule      string    `json:"rule"`
	NS        string    `json:"namespace"`
	Run       *cold.Run `json:"run"`
	Resumed   int       `json:"resumed"`
	Abandoned int       `json:"abandoned"`
	Waiting   int       `json:"waiting"`
	Deleted   int64     `json:"deleted"`
	Changed   int64     `json:"changed"`
	Gone      int64     `json:"gone"`
	Held      int64     `json:"held"`
	Error     string    `json:"error"`
}

// runOnce runs the rule once.
func (v *vault) runOnce(t *testing.T) reported {
	t.Helper()
	var all []reported
	v.json(t, &all, "archive", "run", "--once")
	if len(all) != 1 {
		t.Fatalf("%d reports: %+v", len(all), all)
	}
	return all[0]
}

// launch starts a verb that takes no --listen.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{done: make(chan struct{})}
	p.cmd = exec.Command(bin, args...)
	p.cmd.Dir = t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("sluice %v\n%s", args, tail(p.output(), 6000))
		}
	})
	return p
}

// handBack gives the lease of a process back that is surely dead, and ends the
// transaction that it may have left open, which locks the lease and what it was
// about to delete: the server does that after a minute or more. The TTL of the
// lease, 30 seconds, is waited for in a test of its own.
func (v *vault) handBack(t *testing.T) {
	t.Helper()
	cur, err := v.own("archive_ledger").Find(t.Context(), bson.D{{Key: "rule", Value: v.rule}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []cold.LedgerRow
	if err := cur.All(t.Context(), &rows); err != nil {
		t.Fatal(err)
	}
	sessions := bson.A{}
	for _, row := range rows {
		sessions = append(sessions, bson.D{{Key: "id", Value: row.ID}})
	}
	if len(sessions) > 0 { // none stands for all, also those of the users
		if err := v.client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "killSessions", Value: sessions}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	_, err = v.own("leases").UpdateByID(t.Context(), "archive/"+v.rule+"/"+v.ns(), bson.D{{Key: "$set", Value: bson.D{{Key: "owner", Value: ""}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// packs reads the rows of the rule's packs, oldest first.
func (v *vault) packs(ctx context.Context) ([]cold.Pack, error) {
	cur, err := v.own("archive_packs").Find(ctx, bson.D{{Key: "rule", Value: v.rule}}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, err
	}
	var all []cold.Pack
	return all, cur.All(ctx, &all)
}

// packsIn are those in one of states.
func (v *vault) packsIn(t *testing.T, states ...cold.PackState) []cold.Pack {
	t.Helper()
	all, err := v.packs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(p cold.Pack) bool { return !slices.Contains(states, p.State) })
}

// open opens the vault's place past any proxy.
func (v *vault) open(t *testing.T) objstore.Store {
	t.Helper()
	s, err := objstore.Open(t.Context(), "s3://"+v.s3.Bucket()+"/"+v.prefix, objstore.S3Options{
		Endpoint: v.s3.Endpoint(), Region: v.s3.Region(), PathStyle: true, AccessKey: v.s3.AccessKey(), SecretKey: v.s3.SecretKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c, ok := objstore.As[io.Closer](s); ok {
			_ = c.Close()
		}
	})
	return s
}

// object is what the bucket says of a key.
type object struct {
	etag     string
	size     int64
	modified time.Time
}

// objects lists what is in the bucket below the vault's prefix.
func (v *vault) objects(t *testing.T) map[string]object {
	t.Helper()
	client, done, err := v.s3.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	bucket, prefix := v.s3.Bucket(), v.prefix+"/"
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	all := map[string]object{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			all[strings.TrimPrefix(*o.Key, prefix)] = object{*o.ETag, *o.Size, *o.LastModified}
		}
	}
	return all
}

// contents is a pack as the bucket has it.
type contents struct {
	manifest *pack.Manifest
	docs     []bson.Raw
}

// readPack reads the manifest and the documents of a pack.
func readPack(ctx context.Context, s objstore.Reader, p cold.Pack) (contents, error) {
	var c contents
	m, err := s.Get(ctx, p.Manifest, 0, -1)
	if err != nil {
		return c, err
	}
	defer func() { _ = m.Close() }()
	if c.manifest, err = pack.DecodeManifest(m); err != nil {
		return c, err
	}
	body, err := s.Get(ctx, p.Object, 0, -1)
	if err != nil {
		return c, err
	}
	defer func() { _ = body.Close() }()
	var b bytes.Buffer
	if err := pack.Decode(&b, body, pack.Zstd); err != nil {
		return c, err
	}
	c.docs, err = bsonStream(b.Bytes())
	return c, err
}

// bsonStream cuts a stream with the driver's own reader.
func bsonStream(stream []byte) ([]bson.Raw, error) {
	var docs []bson.Raw
	for r := bytes.NewReader(stream); r.Len() > 0; {
		doc, err := bson.ReadDocument(r)
		if err != nil {
			return nil, err
		}
		if err := doc.Validate(); err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// put puts an object into the bucket, past the archive.
func (v *vault) put(t *testing.T, key, body string) {
	t.Helper()
	if _, err := v.open(t).Put(t.Context(), key, objstore.BytesBody([]byte(body)), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}
