package config

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckURI(t *testing.T) {
	f := func(uri, want string) {
		t.Helper()
		err := checkURI(uri)
		switch {
		case err == nil && want != "":
			t.Errorf("%s is taken; want %q", uri, want)
		case err != nil && (want == "" || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v; want %q", uri, err, want)
		case err != nil && strings.Contains(err.Error(), planted):
			t.Errorf("%s: the message holds the password: %v", uri, err)
		}
	}
	f("mongodb://h", "")
	f("mongodb://u:"+planted+"@h1:27017,h2,[::1]:27019/admin?replicaSet=rs0&tls=true", "")
	f("mongodb+srv://u:"+planted+"@cluster0.example.net/?srvMaxHosts=2&w=majority", "")
	f("mongodb+srv://cluster0.example.net/?srvServiceName=mongo", "")
	f("mongodb+srv://u:"+planted+"@db1", "exactly one name")
	f("mongodb+srv://a.example.net,b.example.net", "exactly one name")
	f("", "starts with mongodb://")
	f(planted, "starts with mongodb://")
	f("mongodb://", "at least 1 host")
	f("mongodb://u:"+planted, "host is not valid")
	f("mongodb://u:"+planted+":"+planted+"@h", "unescaped colon in password")
	f("mongodb://u:"+planted+"/x@h", "unescaped slash in password")
	f("mongodb://u:a@"+planted+"@h", "unescaped @")
	f("mongodb://u:"+planted+"%zz@h", "percent-encode")
	f("mongodb://u:"+planted+"@h:port", "host is not valid")
	f("mongodb://u:"+planted+"@h?w=1", "must have a / before the query")
	f("mongodb://u:"+planted+"@h/?w=1&"+planted, "invalid option")
	f("mongodb://u:"+planted+"@h/?retryWrites="+planted, "invalid value for retryWrites")
	f("mongodb://u:"+planted+"@h/?tlsCertificateKeyFilePassword="+planted+"%zz", "invalid option value")
	f("mongodb://u:"+planted+"@h1,h2/?directConnection=true", "direct connection")
}

func TestRedactURI(t *testing.T) {
	f := func(uri, want string) {
		t.Helper()
		if got := redactURI(uri); got != want {
			t.Errorf("redactURI(%s) = %s; want %s", uri, got, want)
		}
	}
	f("", "")
	f("mongodb://h", "mongodb://h")
	f("mongodb://u@h/?authMechanism=MONGODB-X509&tls=true", "mongodb://u@h/?authMechanism=MONGODB-X509&tls=true")
	f("mongodb://u:p@h/db?w=1", "mongodb://u:***@h/db?w=1")
	f("mongodb+srv://u:p@a.b.c/", "mongodb+srv://u:***@a.b.c/")
	f("mongodb://u:p:p@h", "mongodb://***")
	f("mongodb://u:@p/@h/?w=1", "mongodb://***") // to the driver, p is a host
	f("http://u:p@h", "***")
	f("p", "***")
	f("mongodb://h/?proxyPassword=p;w=1", "mongodb://h/?proxyPassword=***&w=1")
	f("mongodb://h/?proxy%50assword=p", "mongodb://h/?proxy%50assword=***")
	f("mongodb://a:k@h/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:p",
		"mongodb://a:***@h/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:***")
}

// TestRedactURIProperty: whatever the password, it isn't shown.
func TestRedactURIProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		around := rapid.StringMatching(`[a-z%:/@?&=,\[\]0-9]{0,6}`)
		uri := "mongodb://" + around.Draw(t, "user") + ":" + around.Draw(t, "before") + planted + around.Draw(t, "after") + "@h/?w=1"
		if got := redactURI(uri); strings.Contains(got, planted) {
			t.Errorf("%s is shown as %s", uri, got)
		}
		if err := checkURI(uri); err != nil && strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v", uri, err)
		}
	})
}
