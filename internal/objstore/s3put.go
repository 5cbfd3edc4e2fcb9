package objstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"sluice/internal/flow"
)

// metaSHA is the name of our SHA-256 in an object's metadata.
const metaSHA = "sluice-sha256"

const opPut = "write object"

// restarts is how often a write begins anew when another one to the same key
// was under way (409).
const restarts = 3

// upload is one Put under way.
type upload struct {
	s    *S3
	name string // the caller's key
	key  *string
	body Body
	size int64
	part int64
	sum  digest
	o    PutOptions
}

// Put hashes the body, then sends it in one request or in parts; see Writer.
func (s *S3) Put(ctx context.Context, key string, b Body, o PutOptions) (Info, error) {
	full, err := s.key(key)
	if err != nil {
		return Info{}, err
	}
	u := &upload{s: s, name: key, key: full, body: b, size: b.Size(), part: partSize(b.Size(), s.partBytes), o: o}
	if u.sum, err = readDigest(ctx, b, u.part); err != nil {
		return Info{}, u.local(ctx, err)
	}
	if o.SHA256 != [32]byte{} && o.SHA256 != u.sum.sha {
		return Info{}, mismatch(opPut, s.name(key), u.sum.hex(), hex.EncodeToString(o.SHA256[:]))
	}
	send := u.whole
	if u.size > u.part {
		if _, err := s.Head(ctx, key); err == nil { // spares a long upload for nothing
			return Info{}, u.exists(ErrExists)
		}
		send = u.parts
	}
	for i := 1; ; i++ {
		info, err := send(ctx)
		if i == restarts || apiCode(err) != "ConditionalRequestConflict" || ctx.Err() != nil {
			return info, err
		}
	}
}

// partSize enlarges the parts of a body that would have too many of them.
func partSize(size, part int64) int64 {
	for size > part*maxParts {
		part *= 2
	}
	return part
}

// local is a failure on our side of the wire.
func (u *upload) local(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx, opPut, u.s.name(u.name))
	}
	return &flow.Error{Op: opPut, Object: u.s.name(u.name), Class: flow.Fatal, Err: err, Hint: hintBody}
}

func (u *upload) exists(err error) error {
	return &flow.Error{Op: opPut, Object: u.s.name(u.name), Class: flow.Conflict, Err: err}
}

// whole sends the body in one request.
func (u *upload) whole(ctx context.Context) (Info, error) {
	in := &s3.PutObjectInput{
		Bucket: &u.s.bucket, Key: u.key, IfNoneMatch: aws.String("*"),
		Body: u.section(0, u.size), ContentLength: &u.size, ContentType: u.contentType(),
		Metadata: u.metadata(), Tagging: u.tagging(),
		StorageClass:         types.StorageClass(u.o.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(u.o.SSE), SSEKMSKeyId: optional(u.o.KMSKey),
		BucketKeyEnabled: u.bucketKey(),
		ObjectLockMode:   types.ObjectLockMode(u.o.LockMode), ObjectLockRetainUntilDate: u.lockUntil(),
	}
	if u.checksums() {
		in.ChecksumAlgorithm, in.ChecksumCRC32C = types.ChecksumAlgorithmCrc32c, crcText(u.sum.crc)
	}
	ctx, attempts := withAttempts(ctx)
	out, err := u.s.client.PutObject(ctx, in)
	if err != nil {
		return u.settle(ctx, *attempts, err)
	}
	return u.info(out.VersionId), nil
}

// settle tells what a refusal means: "it exists" after a try whose answer was
// lost is our own object, if it is the same.
func (u *upload) settle(ctx context.Context, attempts int, err error) (Info, error) {
	failed := u.s.fail(ctx, opPut, u.name, u.action(), err)
	lost := errors.Is(failed, ErrExists) || apiCode(err) == "NoSuchUpload"
	if !lost || attempts < 2 {
		return Info{}, failed
	}
	info, herr := u.s.Head(ctx, u.name)
	switch {
	case herr == nil && info.Size == u.size && info.SHA256 == u.sum.hex():
		return info, nil
	case herr == nil:
		return Info{}, u.exists(ErrExists)
	case errors.Is(herr, ErrNotFound):
		return Info{}, failed
	}
	return Info{}, herr
}

func (u *upload) info(version *string) Info {
	return Info{
		Key: u.name, Size: u.size, SHA256: u.sum.hex(), StorageClass: u.o.StorageClass,
		Cold: isCold(u.o.StorageClass), Version: aws.ToString(version),
	}
}

// section reads a part of the body without a copy of it.
func (u *upload) section(off, n int64) io.ReadSeeker { return io.NewSectionReader(u.body, off, n) }

// checksums: an object under lock needs one in any case.
func (u *upload) checksums() bool { return u.s.checksums || u.o.LockMode != "" }

func (u *upload) metadata() map[string]string { return map[string]string{metaSHA: u.sum.hex()} }

func (u *upload) contentType() *string {
	if u.o.ContentType == "" {
		return aws.String("application/octet-stream")
	}
	return &u.o.ContentType
}

func (u *upload) tagging() *string {
	if len(u.o.Tags) == 0 {
		return nil
	}
	v := url.Values{}
	for k, t := range u.o.Tags {
		v.Set(k, t)
	}
	return aws.String(v.Encode())
}

// bucketKey saves a request to KMS for each object.
func (u *upload) bucketKey() *bool {
	if u.o.SSE != string(types.ServerSideEncryptionAwsKms) {
		return nil
	}
	return aws.Bool(true)
}

func (u *upload) lockUntil() *time.Time {
	if u.o.LockMode == "" {
		return nil
	}
	return &u.o.LockUntil
}

// action names the rights that this Put needs.
func (u *upload) action() string {
	a := "s3:PutObject"
	if len(u.o.Tags) > 0 {
		a += ", s3:PutObjectTagging"
	}
	if u.o.LockMode != "" {
		a += ", s3:PutObjectRetention"
	}
	if u.o.SSE == string(types.ServerSideEncryptionAwsKms) {
		a += ", kms:GenerateDataKey, kms:Decrypt (on the key)"
	}
	return a
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// crcText is a CRC as S3 writes it.
func crcText(c uint32) *string {
	s := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, c))
	return &s
}
