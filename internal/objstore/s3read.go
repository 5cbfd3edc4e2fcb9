package objstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"sluice/internal/flow"
)

const opGet = "read object"

// Get asks for a range; see Reader. A whole object is compared with its stored
// checksum as it is read, and ErrDamaged comes in place of the end.
func (s *S3) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	full, err := s.key(key)
	if err != nil {
		return nil, err
	}
	if err := checkRange(opGet, s.name(key), off); err != nil {
		return nil, err
	}
	if n == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: full}
	switch {
	case n > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		return nil, s.fail(ctx, opGet, key, actionGet, err)
	}
	if in.Range != nil && out.ContentRange == nil {
		_ = out.Body.Close()
		return nil, &flow.Error{
			Op: opGet, Object: s.name(key), Class: flow.Config,
			Err: errors.New("the server sent the whole object instead of a range of it"),
		}
	}
	return &s3Reader{ctx: ctx, s: s, key: key, body: out.Body, r: limitDown(ctx, out.Body)}, nil
}

// s3Reader gives the errors of a connection their class.
type s3Reader struct {
	ctx  context.Context
	s    *S3
	key  string
	body io.ReadCloser
	r    io.Reader
}

func (r *s3Reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case strings.Contains(err.Error(), "checksum did not match"): // the SDK's error has no type
		return n, &flow.Error{
			Op: opGet, Object: r.s.name(r.key), Class: flow.Fatal,
			Err: joinCause(ErrDamaged, err), Hint: hintAtRest,
		}
	}
	return n, r.s.fail(r.ctx, opGet, r.key, actionGet, err)
}

func (r *s3Reader) Close() error {
	// The rest was not wanted, so neither is what is wrong with it.
	_ = r.body.Close()
	return nil
}

// Head asks for what the bucket knows of an object.
func (s *S3) Head(ctx context.Context, key string) (Info, error) {
	full, err := s.key(key)
	if err != nil {
		return Info{}, err
	}
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: full})
	if err != nil {
		return Info{}, s.fail(ctx, "look up object", key, actionHead, err)
	}
	class := string(out.StorageClass)
	thawed := strings.Contains(aws.ToString(out.Restore), `ongoing-request="false"`)
	return Info{
		Key: key, Size: aws.ToInt64(out.ContentLength), SHA256: metaValue(out.Metadata, metaSHA),
		Modified: aws.ToTime(out.LastModified), StorageClass: class,
		Cold:    (isCold(class) || out.ArchiveStatus != "") && !thawed,
		Version: aws.ToString(out.VersionId),
	}, nil
}

// metaValue finds a name in any case: servers differ.
func metaValue(m map[string]string, name string) string {
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// isCold tells the classes that must be thawed.
func isCold(class string) bool {
	return class == string(types.StorageClassGlacier) || class == string(types.StorageClassDeepArchive)
}

// List asks page by page.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		if err := checkPrefix(prefix); err != nil {
			yield(Info{}, err)
			return
		}
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{
			Bucket: &s.bucket, Prefix: aws.String(s.prefix + prefix),
		}, func(o *s3.ListObjectsV2PaginatorOptions) { o.StopOnDuplicateToken = true })
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Info{}, s.fail(ctx, "list objects", prefix, "s3:ListBucket", err))
				return
			}
			for _, o := range page.Contents {
				key := strings.TrimPrefix(aws.ToString(o.Key), s.prefix)
				if strings.HasSuffix(key, "/") { // a folder that some tool drew
					continue
				}
				class := string(o.StorageClass)
				info := Info{
					Key: key, Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified),
					StorageClass: class, Cold: isCold(class),
				}
				if info.StorageClass == string(types.StorageClassStandard) {
					info.StorageClass = ""
				}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// Delete removes an object; see Writer.
func (s *S3) Delete(ctx context.Context, key string) error {
	full, err := s.key(key)
	if err != nil {
		return err
	}
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: full}); err != nil {
		err = s.fail(ctx, "delete object", key, "s3:DeleteObject (and an object under lock stays until its day)", err)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// Thaw asks for a readable copy for some days; see Thawer.
func (s *S3) Thaw(ctx context.Context, key string, days int, tier string) error {
	full, err := s.key(key)
	if err != nil {
		return err
	}
	if tier == "" {
		tier = string(types.TierStandard)
	}
	_, err = s.client.RestoreObject(ctx, &s3.RestoreObjectInput{
		Bucket: &s.bucket, Key: full,
		RestoreRequest: &types.RestoreRequest{
			Days: aws.Int32(int32(days)), GlacierJobParameters: &types.GlacierJobParameters{Tier: types.Tier(tier)},
		},
	})
	if err == nil || apiCode(err) == "RestoreAlreadyInProgress" {
		return nil
	}
	return s.fail(ctx, "thaw object", key, "s3:RestoreObject", err)
}

// Sweep aborts uploads in parts that began long ago.
func (s *S3) Sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	const op = "sweep unfinished uploads"
	n, before := 0, time.Now().Add(-olderThan)
	pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: optional(s.prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return n, s.fail(ctx, op, "", "s3:ListBucketMultipartUploads", err)
		}
		for _, u := range page.Uploads {
			if !aws.ToTime(u.Initiated).Before(before) {
				continue
			}
			_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: u.Key, UploadId: u.UploadId})
			if err != nil && apiCode(err) != "NoSuchUpload" {
				return n, s.fail(ctx, op, strings.TrimPrefix(aws.ToString(u.Key), s.prefix), "s3:AbortMultipartUpload", err)
			}
			n++
		}
	}
	return n, nil
}
