package objstore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"sluice/internal/flow"
)

const (
	actionGet  = "s3:GetObject (and kms:Decrypt on the key of an encrypted object)"
	actionHead = "s3:GetObject, and s3:ListBucket, without which an absent object looks forbidden"
)

const (
	hintKeys = "Look at the access key, the secret key and the session token (they expire), or at what the SDK finds: " +
		"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, the role of the container or the machine."
	hintClock    = "The clock of this machine, or of the server, is wrong by more than 15 minutes: set it (NTP)."
	hintChecksum = "If the server does not know the checksums of the newer S3: set checksums: when_required. " +
		"If it does, a proxy on the way changes the bytes."
	hintRegion = "Set region to the bucket's."
	hintBusy   = "It was tried several times. If it goes on: look at the health of the store, and at its limits on requests."
	hintReach  = "Look at the endpoint, the network, the proxy (HTTPS_PROXY) and the firewall."
	hintTrust  = "Name the certificate of the server's authority: ca_file."
)

// apiCode is the code of an S3 answer, or "".
func apiCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// status is the HTTP status of an S3 answer, or 0.
func status(err error) int {
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

// said is a cause in few words; the SDK's account of its layers stays behind it.
type said struct {
	text  string
	cause error
}

func (s *said) Error() string { return s.text }

func (s *said) Unwrap() error { return s.cause }

// plain is the cause in few words: the server's, or the network's.
func plain(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text := api.ErrorCode()
		if m := strings.TrimSpace(api.ErrorMessage()); m != "" && m != text {
			text += ": " + cut(m, 300)
		}
		if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
			text += fmt.Sprintf(" (status %d", e.HTTPStatusCode())
			if e.RequestID != "" {
				text += ", request " + cut(e.RequestID, 80)
			}
			text += ")"
		}
		return &said{text, err}
	}
	if code := status(err); code != 0 {
		return &said{fmt.Sprintf("status %d %s", code, http.StatusText(code)), err}
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return &said{e.Err.Error(), err}
	}
	return err
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// fail makes a *flow.Error of whatever a request ended with. action names the
// rights that the request needs.
func (s *S3) fail(ctx context.Context, op, key, action string, err error) error {
	if _, ok := errors.AsType[*flow.Error](err); ok {
		return err
	}
	e := &flow.Error{Op: op, Object: s.name(key), Class: flow.Transient, Err: plain(err)}
	switch code := apiCode(err); {
	case ctx.Err() != nil:
		return ended(ctx, op, s.name(key))
	case code != "" || status(err) != 0:
		s.answered(e, code, status(err), action, err)
	default:
		unanswered(e, err)
	}
	return e
}

// answered classifies what the server said.
func (s *S3) answered(e *flow.Error, code string, status int, action string, err error) {
	switch code {
	case "NoSuchBucket":
		e.Class, e.Hint = flow.Config, "Make the bucket "+s.bucket+", or name another; its region and endpoint count too."
	case "InvalidBucketName":
		e.Class, e.Hint = flow.Config, "Bucket names have 3 to 63 lower-case letters, digits, dots and hyphens."
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidSecurity":
		e.Class, e.Hint = flow.Auth, hintKeys
	case "RequestTimeTooSkewed", "RequestExpired":
		e.Class, e.Hint = flow.Config, hintClock
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect", "IllegalLocationConstraintException":
		e.Class, e.Hint = flow.Config, hintRegion+bucketRegion(err)
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest":
		// Tried again already: it is no accident.
		e.Class, e.Err, e.Hint = flow.Fatal, joinCause(ErrDamaged, e.Err), hintChecksum
	case "NotImplemented":
		e.Class = flow.Config
		e.Hint = "The server cannot do this. Put-if-absent (If-None-Match), checksums and uploads in parts are needed; " +
			"storage class, encryption, tags and object lock are optional, and so are checksums: when_required."
	case "InsufficientStorage", "XMinioStorageFull", "QuotaExceeded", "StorageFull", "InsufficientCapacity":
		e.Class, e.Err, e.Hint = flow.Fatal, joinCause(ErrNoSpace, e.Err), hintSpace
	case "InvalidObjectState":
		e.Class, e.Err, e.Hint = flow.Config, joinCause(ErrCold, e.Err), hintCold
	case "PreconditionFailed":
		e.Class, e.Err = flow.Conflict, ErrExists
	case "InvalidRange":
		e.Class, e.Err = flow.Fatal, ErrRange
	case "NoSuchKey", "NotFound":
		e.Class, e.Err = flow.Fatal, ErrNotFound
	case "NoSuchUpload", "ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "SlowDown", "InternalError":
		e.Class, e.Hint = flow.Transient, hintBusy
	default:
		s.byStatus(e, status, action)
	}
}

// byStatus classifies an answer whose code says nothing: HEAD has no body.
func (s *S3) byStatus(e *flow.Error, status int, action string) {
	switch {
	case status == http.StatusUnauthorized:
		e.Class, e.Hint = flow.Auth, hintKeys
	case status == http.StatusForbidden:
		e.Class = flow.Auth
		e.Hint = "The credentials are not allowed to do this in the bucket " + s.bucket + ". Missing: " + action + "."
	case status == http.StatusNotFound:
		e.Class, e.Err = flow.Fatal, ErrNotFound
	case status == http.StatusPreconditionFailed:
		e.Class, e.Err = flow.Conflict, ErrExists
	case status == http.StatusRequestedRangeNotSatisfiable:
		e.Class, e.Err = flow.Fatal, ErrRange
	case status == http.StatusInsufficientStorage:
		e.Class, e.Err, e.Hint = flow.Fatal, joinCause(ErrNoSpace, e.Err), hintSpace
	case status >= 300 && status < 400:
		e.Class, e.Hint = flow.Config, hintRegion
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusConflict, status >= 500:
		e.Class, e.Hint = flow.Transient, hintBusy
	case status >= 400:
		e.Class = flow.Config
	}
}

// bucketRegion quotes the region that the server named.
func bucketRegion(err error) string {
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok && e.Response != nil {
		if r := e.Response.Header.Get("x-amz-bucket-region"); r != "" {
			return " It is " + cut(r, 40) + "."
		}
	}
	return ""
}

// unanswered classifies what never reached the server, or got no answer.
func unanswered(e *flow.Error, err error) {
	var (
		dns       *net.DNSError
		operation *net.OpError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		canceled  *aws.RequestCanceledError
	)
	switch {
	case strings.Contains(err.Error(), "failed to refresh cached credentials"), strings.Contains(err.Error(), "get credentials"),
		strings.Contains(err.Error(), "get identity"):
		e.Class, e.Hint = flow.Auth, hintKeys
	case errors.As(err, &authority):
		e.Class, e.Hint = flow.Config, hintTrust
	case errors.As(err, &host), errors.As(err, &invalid):
		e.Class, e.Hint = flow.Config, "The server's certificate is for another name, or not of today: look at the endpoint."
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		e.Class, e.Hint = flow.Config, "The endpoint is plain: http:// instead of https://."
	case errors.As(err, &canceled):
		e.Class = flow.Unknown
	case errors.As(err, &dns), errors.As(err, &operation) && operation.Op == "dial":
		e.Class, e.Hint = flow.Transient, hintReach
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		e.Class, e.Err, e.Hint = flow.Transient, &said{"the connection was cut", err}, hintReach
	default:
		e.Hint = hintReach
	}
}

func joinHints(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n" + b
}
