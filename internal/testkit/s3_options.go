package testkit

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// S3Options say which S3 server a test wants. The zero value is one with a root
// account and one bucket.
type S3Options struct {
	// TLS: https with a certificate of its own authority, S3.CAFile.
	TLS bool
	// Users are names of accounts that may do only what a bucket's policy lets
	// them; their secret is S3.UserSecret.
	Users []string
	// Own: a server of our own in any case, not the one of
	// SLUICE_TEST_S3_ENDPOINT; for tests that stop, kill, wipe or damage it.
	Own bool
}

func (o S3Options) plain() bool { return !o.TLS && len(o.Users) == 0 && !o.Own }

// BucketOptions say what kind of bucket a test wants.
type BucketOptions struct {
	// Versions: older versions are kept.
	Versions bool
	// Lock: objects can be locked; includes Versions.
	Lock bool
	// Policy is the JSON text of a bucket policy.
	Policy string
}

// Keys of our own server. They open nothing else.
const (
	s3AccessKey  = "testkit-root"
	s3SecretKey  = "testkit-root-secret"
	s3UserSecret = "testkit-user-secret"
	s3Region     = "us-east-1"
	s3Bucket     = "sluice-test"
)

// externalS3 is the server that the environment offers.
func externalS3() (*S3, error) {
	s := &S3{
		endpoint:  strings.TrimSuffix(os.Getenv("SLUICE_TEST_S3_ENDPOINT"), "/"),
		accessKey: os.Getenv("SLUICE_TEST_S3_ACCESS_KEY"), secretKey: os.Getenv("SLUICE_TEST_S3_SECRET_KEY"),
		bucket: os.Getenv("SLUICE_TEST_S3_BUCKET"), region: s3Region, origin: "SLUICE_TEST_S3_ENDPOINT",
	}
	if r := os.Getenv("SLUICE_TEST_S3_REGION"); r != "" {
		s.region = r
	}
	if s.accessKey == "" || s.secretKey == "" || s.bucket == "" {
		return nil, noS3(errors.New("SLUICE_TEST_S3_ENDPOINT needs _ACCESS_KEY, _SECRET_KEY and _BUCKET beside it"))
	}
	return s, nil
}

// writeCertificate makes a certificate for this machine that is its own authority.
func writeCertificate(ctx context.Context, dir string) (cert, key string, err error) {
	cert, key = filepath.Join(dir, "s3.crt"), filepath.Join(dir, "s3.key")
	if _, err := os.Stat(cert); err == nil || ctx.Err() != nil {
		return cert, key, ctx.Err()
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "sluice testkit"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return "", "", err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	return cert, key, errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600),
	)
}
