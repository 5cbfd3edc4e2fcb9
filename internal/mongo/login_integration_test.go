//go:build integration

package mongo

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sluice/internal/flow"
	"sluice/internal/testkit"
)

// secure is a real mongod with users and TLS, whose certificates the test made.
type secure struct {
	*testing.T
	*testkit.Mongo
	ca, stranger *testkit.CA
	server       string // the file that mongod reads its certificate from
	root         *mongo.Client
}

// newSecure starts one. Without must, who connects may do so without a
// certificate. Plain connections stay open for the testkit itself.
func newSecure(t *testing.T, mustShow bool) *secure {
	t.Helper()
	s := &secure{T: t, ca: testkit.NewCA(t, "test ca"), stranger: testkit.NewCA(t, "somebody else")}
	cert := s.ca.Issue(t, testkit.CertOptions{Name: "mongod", Organization: "servers", Hosts: []string{"127.0.0.1", "localhost"}})
	s.server = cert.BothFile
	args := []string{"--tlsMode", "preferTLS", "--tlsCertificateKeyFile", cert.BothFile, "--tlsCAFile", s.ca.File}
	if !mustShow {
		args = append(args, "--tlsAllowConnectionsWithoutCertificates")
	}
	s.Mongo = startMongo(t, testkit.MongoOptions{Auth: true, ExtraArgs: args})
	var err error
	s.root, err = mongo.Connect(options.Client().ApplyURI(s.URI()))
	must(t, err)
	t.Cleanup(func() { _ = s.root.Disconnect(context.Background()) })
	insert(t, s.root.Database("app").Collection("a"), 0, 10)
	return s
}

// uri reaches the server by TLS as a user ("" for none), with more options.
func (s *secure) uri(login string, query ...string) string {
	_, hosts, _ := strings.Cut(s.URI(), "@")
	hosts, _, _ = strings.Cut(hosts, "/")
	if login != "" {
		login += "@"
	}
	return "mongodb://" + login + hosts + "/?" + strings.Join(append([]string{"tls=true", "replicaSet=rs0", "serverSelectionTimeoutMS=2000"}, query...), "&")
}

func file(name, path string) string { return name + "=" + url.QueryEscape(path) }

// follows opens a source and sees it copy.
func (s *secure) follows(uri string) {
	s.Helper()
	p := startPump(s.T, Options{URI: uri, Namespaces: []string{"app.a"}}, "", newModel())
	p.waitEqual(s.root.Database("app").Collection("a"))
	p.stop()
}

func (s *secure) user(db, name string, more ...bson.E) {
	s.Helper()
	cmd := append(bson.D{{Key: "createUser", Value: name}}, more...)
	must(s.T, s.root.Database(db).RunCommand(s.Context(), cmd).Err())
}

func TestLoginTLSAndSCRAM(t *testing.T) {
	s := newSecure(t, false)
	roles := bson.E{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "app"}}}}
	for _, mechanism := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256"} {
		s.user("admin", mechanism, bson.E{Key: "pwd", Value: "s3cret"}, roles, bson.E{Key: "mechanisms", Value: bson.A{mechanism}})
		s.follows(s.uri(mechanism+":s3cret", "authMechanism="+mechanism, file("tlsCAFile", s.ca.File)))
		s.follows(s.uri(mechanism+":s3cret", file("tlsCAFile", s.ca.File)))
		openFails(t, Options{URI: s.uri(mechanism+":s3cret-not", file("tlsCAFile", s.ca.File)), Namespaces: []string{"app.a"}},
			flow.Auth, "log in", "check user and password", "authSource")
	}
	login := "SCRAM-SHA-256:s3cret"
	fails := func(uri string, words ...string) {
		t.Helper()
		openFails(t, Options{URI: uri, Namespaces: []string{"app.a"}}, flow.Config, append(words, "mongodb.uri")...)
	}
	fails(s.uri(login), "unknown authority", "tlsCAFile=")
	fails(s.uri(login, file("tlsCAFile", s.stranger.File)), "unknown authority", "tlsCAFile=")
	fails(s.uri(login, file("tlsCAFile", s.ca.File+".none")), "ca.pem.none", "tlsCAFile")
	s.replaceServer(testkit.CertOptions{Name: "elsewhere", Organization: "servers", Hosts: []string{"db.example"}})
	fails(s.uri(login, file("tlsCAFile", s.ca.File)), "127.0.0.1", "host name")
	s.follows(s.uri(login, "tlsInsecure=true"))
	until := time.Now().Add(3 * time.Second)
	s.replaceServer(testkit.CertOptions{Name: "short", Organization: "servers", Hosts: []string{"127.0.0.1"}, Until: until})
	testkit.Eventually(t, 20*time.Second, func() error {
		if time.Now().Before(until) {
			return context.DeadlineExceeded
		}
		return nil
	})
	fails(s.uri(login, file("tlsCAFile", s.ca.File)), "expired", "certificate of the server")
}

// replaceServer gives the running server another certificate.
func (s *secure) replaceServer(o testkit.CertOptions) {
	s.Helper()
	pem, err := os.ReadFile(s.ca.Issue(s.T, o).BothFile)
	must(s.T, err)
	must(s.T, os.WriteFile(s.server, pem, 0o600))
	must(s.T, s.root.Database("admin").RunCommand(s.Context(), bson.D{{Key: "rotateCertificates", Value: 1}}).Err())
}

func TestLoginX509(t *testing.T) {
	s := newSecure(t, true)
	const external = "$external"
	client := s.ca.Issue(t, testkit.CertOptions{Name: "sluice", Unit: "apps", Organization: "clients"})
	may := s.ca.Issue(t, testkit.CertOptions{Name: "norole", Unit: "apps", Organization: "clients"})
	unknown := s.ca.Issue(t, testkit.CertOptions{Name: "nobody", Unit: "apps", Organization: "clients"})
	expired := s.ca.Issue(t, testkit.CertOptions{Name: "old", Unit: "apps", Organization: "clients", Until: time.Now().Add(-time.Hour)})
	foreign := s.stranger.Issue(t, testkit.CertOptions{Name: "foreign", Unit: "apps", Organization: "clients"})
	s.user(external, client.Subject, bson.E{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "app"}}}})
	s.user(external, may.Subject, bson.E{Key: "roles", Value: bson.A{}})

	as := func(c testkit.Certificate) string {
		return s.uri("", "authMechanism=MONGODB-X509", file("tlsCAFile", s.ca.File), file("tlsCertificateKeyFile", c.BothFile))
	}
	fails := func(uri string, class flow.Class, words ...string) {
		t.Helper()
		openFails(t, Options{URI: uri, Namespaces: []string{"app.a"}}, class, words...)
	}
	s.follows(as(client))
	fails(as(unknown), flow.Auth, "log in", "X.509", "$external", "subject")
	fails(as(may), flow.Auth, "createRole", "changeStream")
	fails(as(expired), flow.Config, "our certificate, which expired on 20", "tlsCertificateKeyFile=", "mongodb.uri")
	fails(as(foreign), flow.Config, "when it sees our certificate", "tlsCertificateKeyFile=", "mongodb.uri")
	fails(s.uri("", file("tlsCAFile", s.ca.File)), flow.Config, "asks for a certificate of ours", "tlsCertificateKeyFile=", "mongodb.uri")
}
