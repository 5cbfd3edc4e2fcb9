//go:build integration

package objstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/objstore/objstoretest"
	"sluice/internal/testkit"
)

// policy lets a user do only some things.
func policy(user, bucket string, actions ...string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":[%q]},"Action":["%s"],"Resource":["arn:aws:s3:::%s","arn:aws:s3:::%s/*"]}]}`,
		user, strings.Join(actions, `","`), bucket, bucket)
}

func TestS3MissingRightsAreNamed(t *testing.T) {
	all := map[string]string{"put": "s3:PutObject", "get": "s3:GetObject", "list": "s3:ListBucket", "delete": "s3:DeleteObject"}
	var users []string
	for name := range all {
		users = append(users, "no-"+name)
	}
	s := start(t, testkit.S3Options{Users: users})
	for name, missing := range all {
		user, bucket := "no-"+name, "bucket-no-"+name
		var rest []string
		for _, a := range all {
			if a != missing {
				rest = append(rest, a)
			}
		}
		if err := s.CreateBucket(t.Context(), bucket, testkit.BucketOptions{Policy: policy(user, bucket, rest...)}); err != nil {
			t.Fatal(err)
		}
		o := options(t, s)
		o.Bucket = bucket
		objstoretest.Put(t, openS3(t, o), "x", "1")
		o.AccessKey, o.SecretKey = user, s.UserSecret()
		store := openS3(t, o)
		var lerr error
		for _, err := range store.List(t.Context(), "") {
			lerr = err
		}
		_, perr := store.Put(t.Context(), "y", objstore.BytesBody([]byte("1")), objstore.PutOptions{})
		_, gerr := store.Get(t.Context(), "x", 0, 1)
		for call, err := range map[string]error{"put": perr, "get": gerr, "list": lerr, "delete": store.Delete(t.Context(), "x")} {
			switch {
			case call != name && err != nil:
				if call == "get" && errors.Is(err, objstore.ErrNotFound) {
					continue
				}
				t.Errorf("%s, %s: %v", user, call, err)
			case call == name && (flow.ClassOf(err) != flow.Auth || !strings.Contains(fmt.Sprint(err), missing)):
				t.Errorf("%s, %s: %v", user, call, err)
			}
		}
		if err := objstore.Probe(t.Context(), store); flow.ClassOf(err) != flow.Auth {
			t.Errorf("probe of %s: %v", user, err)
		}
	}
}

func TestS3WrongSettingsAreNamed(t *testing.T) {
	s := testkit.SharedS3(t)
	f := func(name string, class flow.Class, hint string, change func(o *objstore.S3Options)) {
		t.Helper()
		o := options(t, s)
		change(&o)
		store := openS3(t, o)
		_, err := store.Put(t.Context(), "x", objstore.BytesBody([]byte("1")), objstore.PutOptions{})
		if flow.ClassOf(err) != class || !strings.Contains(fmt.Sprint(err), hint) {
			t.Errorf("%s: %v (%s)", name, err, flow.ClassOf(err))
		}
		if err != nil && strings.Contains(err.Error(), o.SecretKey) {
			t.Errorf("%s tells the secret: %v", name, err)
		}
	}
	f("bucket", flow.Config, "Make the bucket no-such-bucket", func(o *objstore.S3Options) { o.Bucket = "no-such-bucket" })
	f("access key", flow.Auth, "Look at the access key", func(o *objstore.S3Options) { o.AccessKey = "nobody" })
	f("secret key", flow.Auth, "Look at the access key", func(o *objstore.S3Options) { o.SecretKey = "wrong-secret" })
	f("region", flow.Config, "Set region", func(o *objstore.S3Options) { o.Region = "eu-central-1" })
	f("endpoint", flow.Transient, "Look at the endpoint", func(o *objstore.S3Options) { o.Endpoint = "http://127.0.0.1:1" })
	f("host", flow.Transient, "Look at the endpoint", func(o *objstore.S3Options) { o.Endpoint = "http://no-such-host.invalid" })
	f("scheme", flow.Config, "http:// instead", func(o *objstore.S3Options) { o.Endpoint = strings.Replace(o.Endpoint, "http:", "https:", 1) })
	secure := start(t, testkit.S3Options{TLS: true})
	f("authority", flow.Config, "ca_file", func(o *objstore.S3Options) { o.Endpoint = secure.Endpoint() })
}
