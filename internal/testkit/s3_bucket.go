package testkit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Client is the SDK's own client with all rights, for what objstore does not
// do. The caller calls done when it is done with it.
func (s *S3) Client() (client *s3.Client, done func(), err error) {
	t := &http.Transport{}
	if s.cert != "" {
		pem, err := os.ReadFile(s.cert)
		if err != nil {
			return nil, nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	client = s3.New(s3.Options{
		BaseEndpoint: aws.String(s.endpoint), Region: s.region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.accessKey, s.secretKey, ""),
		HTTPClient:  &http.Client{Transport: t},
	})
	return client, t.CloseIdleConnections, nil
}

// CreateBucket makes a bucket; that we have it already is no error.
func (s *S3) CreateBucket(ctx context.Context, name string, o BucketOptions) error {
	client, done, err := s.Client()
	if err != nil {
		return err
	}
	defer done()
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(o.Lock)})
	var mine *types.BucketAlreadyOwnedByYou
	if err != nil && !errors.As(err, &mine) {
		return err
	}
	if o.Versions && !o.Lock {
		_, err = client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
		})
		if err != nil {
			return err
		}
	}
	if o.Policy != "" {
		_, err = client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &name, Policy: &o.Policy})
		return err
	}
	return nil
}
