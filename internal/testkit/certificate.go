package testkit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority of a test's own.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
	// File names the PEM file of its certificate.
	File string
}

// CertOptions say what a certificate is for.
type CertOptions struct {
	// Name is the common name, and that of the files.
	Name string
	// Unit and Organization, where not empty, are OU and O of the subject.
	Unit, Organization string
	// Hosts are the names and addresses of a server, none for a client.
	Hosts []string
	// Until is when it ends; zero is tomorrow. One that is over began a day earlier.
	Until time.Time
}

// Certificate is one with its key.
type Certificate struct {
	// CertFile and KeyFile are PEM files; BothFile holds the key and the
	// certificate, as MongoDB wants it.
	CertFile, KeyFile, BothFile string
	// Subject as RFC 2253 writes it: CN=…,OU=…,O=….
	Subject string
	// TLS is ready for a server or a client of Go.
	TLS tls.Certificate
}

// NewCA makes an authority whose files live as long as the test. Everybody may
// read them: some servers run as nobody.
func NewCA(t testing.TB, name string) *CA {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-testkit-ca-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ca := &CA{dir: dir, File: filepath.Join(dir, "ca.pem")}
	ca.key = newKey(t)
	template := certTemplate(t, pkix.Name{CommonName: name}, time.Now().Add(48*time.Hour))
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, ca.File, pemBlock("CERTIFICATE", der))
	return ca
}

// Issue makes a certificate for server and client alike.
func (ca *CA) Issue(t testing.TB, o CertOptions) Certificate {
	t.Helper()
	if o.Until.IsZero() {
		o.Until = time.Now().Add(24 * time.Hour)
	}
	subject := pkix.Name{CommonName: o.Name}
	if o.Unit != "" {
		subject.OrganizationalUnit = []string{o.Unit}
	}
	if o.Organization != "" {
		subject.Organization = []string{o.Organization}
	}
	template := certTemplate(t, subject, o.Until)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, h := range o.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM := pemBlock("CERTIFICATE", der), pemBlock("PRIVATE KEY", keyDER)
	base := filepath.Join(ca.dir, o.Name)
	c := Certificate{CertFile: base + ".crt", KeyFile: base + ".key", BothFile: base + ".pem", Subject: subject.String()}
	writePEM(t, c.CertFile, certPEM)
	writePEM(t, c.KeyFile, keyPEM)
	writePEM(t, c.BothFile, bytes.Join([][]byte{keyPEM, certPEM}, nil))
	if c.TLS, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	return c
}

// Pool holds the authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certTemplate(t testing.TB, subject pkix.Name, until time.Time) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().Add(-time.Hour)
	if until.Before(time.Now()) {
		from = until.Add(-24 * time.Hour)
	}
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: from, NotAfter: until}
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func writePEM(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
