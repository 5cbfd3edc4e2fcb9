package objstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"sluice/internal/flow"
)

// parts sends the body in parts. Nothing is seen of it before the last request,
// which is the one that must not replace an object; whatever fails before that,
// the parts are taken away again.
func (u *upload) parts(ctx context.Context) (Info, error) {
	id, err := u.begin(ctx)
	if err != nil {
		return Info{}, err
	}
	info, err := u.finish(ctx, id)
	if err != nil {
		err = u.abort(ctx, id, err)
	}
	return info, err
}

func (u *upload) begin(ctx context.Context) (*string, error) {
	in := &s3.CreateMultipartUploadInput{
		Bucket: &u.s.bucket, Key: u.key, ContentType: u.contentType(), Metadata: u.metadata(), Tagging: u.tagging(),
		StorageClass:         types.StorageClass(u.o.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(u.o.SSE), SSEKMSKeyId: optional(u.o.KMSKey),
		BucketKeyEnabled: u.bucketKey(),
		ObjectLockMode:   types.ObjectLockMode(u.o.LockMode), ObjectLockRetainUntilDate: u.lockUntil(),
	}
	if u.checksums() {
		in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc32c, types.ChecksumTypeFullObject
	}
	out, err := u.s.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return nil, u.s.fail(ctx, opPut, u.name, u.action(), err)
	}
	return out.UploadId, nil
}

// finish sends the parts, several at a time, and makes them one object.
func (u *upload) finish(ctx context.Context, id *string) (Info, error) {
	done := make([]types.CompletedPart, len(u.sum.parts))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(u.s.parallel)
	for i := range done {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() (err error) {
			done[i], err = u.sendPart(gctx, id, i)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Info{}, err
	}
	if ctx.Err() != nil {
		return Info{}, ended(ctx, opPut, u.s.name(u.name))
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &u.s.bucket, Key: u.key, UploadId: id, IfNoneMatch: aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done}, MpuObjectSize: &u.size,
	}
	if u.checksums() {
		in.ChecksumType, in.ChecksumCRC32C = types.ChecksumTypeFullObject, crcText(u.sum.crc)
	}
	ctx, attempts := withAttempts(ctx)
	out, err := u.s.client.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return u.settle(ctx, *attempts, err)
	}
	return u.info(out.VersionId), nil
}

func (u *upload) sendPart(ctx context.Context, id *string, i int) (types.CompletedPart, error) {
	off := int64(i) * u.part
	n := min(u.part, u.size-off)
	in := &s3.UploadPartInput{
		Bucket: &u.s.bucket, Key: u.key, UploadId: id, PartNumber: aws.Int32(int32(i + 1)),
		Body: u.section(off, n), ContentLength: &n,
	}
	if u.checksums() {
		in.ChecksumAlgorithm, in.ChecksumCRC32C = types.ChecksumAlgorithmCrc32c, crcText(u.sum.parts[i])
	}
	out, err := u.s.client.UploadPart(ctx, in)
	if err != nil {
		return types.CompletedPart{}, u.s.fail(ctx, fmt.Sprintf("%s, part %d of %d,", opPut, i+1, len(u.sum.parts)), u.name, u.action(), err)
	}
	return types.CompletedPart{PartNumber: in.PartNumber, ETag: out.ETag, ChecksumCRC32C: in.ChecksumCRC32C}, nil
}

// abort takes the parts away, also when ctx has ended, and returns why.
func (u *upload) abort(ctx context.Context, id *string, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_, err := u.s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.s.bucket, Key: u.key, UploadId: id})
	if err == nil || apiCode(err) == "NoSuchUpload" {
		return why
	}
	var e *flow.Error
	if !errors.As(why, &e) {
		return why
	}
	left := *e
	left.Hint = joinHints(e.Hint, "Its parts could not be taken away ("+plain(err).Error()+"), and cost money until they are: "+
		"the right s3:AbortMultipartUpload, `archive gc`, or a lifecycle rule AbortIncompleteMultipartUpload on the bucket.")
	return &left
}
