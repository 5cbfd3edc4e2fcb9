package objstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"sluice/internal/flow"
)

// The two ways of S3Options.Checksums.
const (
	// ChecksumsSupported sends a CRC32C of every object and checks it on reading.
	ChecksumsSupported = "when_supported"
	// ChecksumsRequired sends none unless the request needs one: for servers that
	// refuse them. The signature covers the body's SHA-256 all the same.
	ChecksumsRequired = "when_required"
)

// S3Options say which bucket, and how to reach it. Zero values are the defaults.
type S3Options struct {
	// Bucket is wanted; Prefix is put before every key, with a slash between.
	Bucket, Prefix string
	// Region: empty takes the environment's, else us-east-1.
	Region string
	// Endpoint is the URL of a server that is not AWS; empty takes the environment's.
	Endpoint string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// CAFile is a file of PEM certificates to trust besides the system's.
	CAFile string
	// Checksums is ChecksumsSupported (default) or ChecksumsRequired.
	Checksums string
	// AccessKey and SecretKey, with SessionToken for temporary ones; without them
	// the SDK's default chain: environment, profile, web identity, container, instance.
	AccessKey, SecretKey, SessionToken string
	// PartBytes is the size of a part of a larger body: 5 MiB to 5 GiB, 16 MiB by
	// default; more where 10,000 parts would not be enough.
	PartBytes int64
	// Parallel is how many parts of one body are under way at once; 3. Memory does
	// not grow with the parts.
	Parallel int
	// Attempts is how often one request is tried; 4. Pause is the longest pause
	// between two of them; 20 s.
	Attempts int
	Pause    time.Duration
	// Idle ends a connection on which nothing moved for that long; 90 s. There is
	// no deadline over a whole request.
	Idle time.Duration
}

const (
	minPart      = 5 << 20
	maxPart      = 5 << 30
	maxParts     = 10_000
	defaultPart  = 16 << 20
	abortTimeout = 30 * time.Second
)

// S3 is a store in a bucket. Close releases its connections.
type S3 struct {
	client    *s3.Client
	bucket    string
	prefix    string // "" or with a slash at its end
	partBytes int64
	parallel  int
	checksums bool
	idle      func()
}

var _ interface {
	Store
	Thawer
	Sweeper
} = (*S3)(nil)

// OpenS3 prepares a store; it does not talk to the bucket (Probe does). ctx
// bounds the reading of the SDK's configuration.
func OpenS3(ctx context.Context, o S3Options) (*S3, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, &flow.Error{Op: "open store", Object: "s3://" + o.Bucket, Class: flow.Config, Err: err}
	}
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if o.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, o.SessionToken)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, &flow.Error{
			Op: "open store", Object: "s3://" + o.Bucket, Class: flow.Config, Err: err,
			Hint: "Look at the AWS_ variables of the environment and at the profile's files.",
		}
	}
	client, idle, err := newHTTPClient(cfg.HTTPClient, o)
	if err != nil {
		return nil, &flow.Error{Op: "open store", Object: "s3://" + o.Bucket, Class: flow.Config, Err: err}
	}
	s := &S3{
		bucket: o.Bucket, partBytes: o.PartBytes, parallel: o.Parallel,
		checksums: o.Checksums == ChecksumsSupported, idle: idle,
	}
	if o.Prefix != "" {
		s.prefix = o.Prefix + "/"
	}
	s.client = s3.NewFromConfig(cfg, func(c *s3.Options) { o.apply(c, client) })
	return s, nil
}

// apply is all that we want of the SDK.
func (o S3Options) apply(c *s3.Options, client s3.HTTPClient) {
	c.HTTPClient = client
	if o.Region != "" {
		c.Region = o.Region
	} else if c.Region == "" {
		c.Region = "us-east-1"
	}
	if o.Endpoint != "" {
		c.BaseEndpoint = aws.String(o.Endpoint)
	}
	c.UsePathStyle = o.PathStyle
	c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
	c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
	if o.Checksums == ChecksumsRequired {
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
	c.DisableLogOutputChecksumValidationSkipped = true
	c.Logger = logging.Nop{}
	c.APIOptions = append(c.APIOptions, countAttempts)
	// Bounded by the attempts alone: the SDK's token bucket, shared by all
	// requests, would give up on some because others failed.
	c.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
		r.MaxAttempts, r.MaxBackoff, r.RateLimiter = o.Attempts, o.Pause, ratelimit.None
		r.Backoff = retry.NewExponentialJitterBackoff(o.Pause)
		r.Retryables = append(r.Retryables, retry.RetryableErrorCode{Codes: damagedOnTheWay()})
	})
	c.RetryMaxAttempts = 0
}

// damagedOnTheWay are the answers to a body that arrived other than it was sent.
func damagedOnTheWay() map[string]struct{} {
	return map[string]struct{}{
		"BadDigest": {}, "XAmzContentSHA256Mismatch": {}, "XAmzContentChecksumMismatch": {}, "IncompleteBody": {},
	}
}

func (o S3Options) withDefaults() (S3Options, error) {
	o.Prefix = strings.Trim(o.Prefix, "/")
	if o.Bucket == "" || strings.ContainsAny(o.Bucket, "/?#@ ") {
		return o, errors.New("the name of the bucket is missing or no name")
	}
	if o.Prefix != "" {
		if err := checkKey(o.Prefix); err != nil {
			return o, fmt.Errorf("its prefix: %w", err)
		}
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return o, errors.New("the endpoint is no URL like https://host:port, without a user")
		}
	}
	if (o.AccessKey == "") != (o.SecretKey == "") || o.SessionToken != "" && o.AccessKey == "" {
		return o, errors.New("an access key and its secret key belong together")
	}
	switch o.Checksums {
	case "":
		o.Checksums = ChecksumsSupported
	case ChecksumsSupported, ChecksumsRequired:
	default:
		return o, fmt.Errorf("checksums are %s or %s", ChecksumsSupported, ChecksumsRequired)
	}
	if o.PartBytes == 0 {
		o.PartBytes = defaultPart
	}
	if o.PartBytes < minPart || o.PartBytes > maxPart {
		return o, errors.New("a part has 5 MiB to 5 GiB")
	}
	def(&o.Parallel, 3)
	def(&o.Attempts, 4)
	def(&o.Pause, 20*time.Second)
	def(&o.Idle, 90*time.Second)
	return o, nil
}

func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Close closes the idle connections. No call may be under way.
func (s *S3) Close() error {
	s.idle()
	return nil
}

// name is an object's URL in messages.
func (s *S3) name(key string) string { return "s3://" + s.bucket + "/" + s.prefix + key }

// key checks a key, and puts the prefix before it.
func (s *S3) key(key string) (*string, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	full := s.prefix + key
	if len(full) > maxKey {
		return nil, CheckKey(full)
	}
	return &full, nil
}
