package objstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"sluice/internal/flow"
)

// Open opens the store of a URL: s3://bucket/prefix, or file:///directory,
// which is made. o is for S3; its Bucket and Prefix come from the URL.
func Open(ctx context.Context, rawURL string, o S3Options) (Store, error) {
	u, err := parse(rawURL)
	if err != nil {
		return nil, &flow.Error{
			Op: "open store", Object: Name(rawURL), Class: flow.Config, Err: err,
			Hint: "It looks like s3://bucket/prefix or file:///absolute/directory; credentials and options have settings of their own.",
		}
	}
	if u.Scheme == "file" {
		d, err := OpenDir(localPath(u.Path))
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	o.Bucket, o.Prefix = u.Host, strings.Trim(u.Path, "/")
	s, err := OpenS3(ctx, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func parse(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL") // the cause would quote all of it
	case u.User != nil:
		return nil, errors.New("credentials do not belong into it")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it has a query or a fragment")
	case u.Scheme == "s3" && u.Host == "":
		return nil, errors.New("the bucket is missing")
	case u.Scheme == "file" && (u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.Path == "/"):
		return nil, errors.New("an absolute directory below the root is wanted, with three slashes before it")
	case u.Scheme != "s3" && u.Scheme != "file":
		return nil, fmt.Errorf("the scheme is %q", u.Scheme)
	}
	return u, nil
}

// localPath is the path of a file URL; on Windows /C:/x is C:\x.
func localPath(p string) string {
	if runtime.GOOS == "windows" {
		p = strings.TrimPrefix(p, "/")
	}
	return filepath.FromSlash(p)
}

// Name is the URL of a store as messages and the journal show it: without user,
// password, query and a slash at its end.
func Name(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" {
		return "(no URL)"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return strings.TrimRight(u.String(), "/")
}
