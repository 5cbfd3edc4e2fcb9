package search

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"sluice/internal/flow"
)

// awsService is the name under which a domain of OpenSearch Service takes signatures.
const awsService = "es"

// AWS says that requests are signed (Signature Version 4) for a domain of Amazon
// OpenSearch Service. The zero value signs nothing.
type AWS struct {
	// Region is that of the domain.
	Region string
	// Credentials replace the SDK's chain (environment, profile, web identity,
	// role of the container or machine), for tests.
	Credentials aws.CredentialsProvider
}

// signer signs requests. Safe from several goroutines.
type signer struct {
	region      string
	credentials aws.CredentialsProvider
	v4          *v4.Signer
	now         func() time.Time
}

const hintCredentials = "search.aws signs with the credentials of the SDK's chain: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, " +
	"a web identity (service account), or the role of the container or machine; give one of these to this process"

// newSigner finds the chain of credentials; it asks nobody yet. nil where
// nothing is signed.
func newSigner(ctx context.Context, a AWS) (*signer, error) {
	if a.Region == "" {
		return nil, nil
	}
	provider := a.Credentials
	if provider == nil {
		conf, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(a.Region))
		if err != nil {
			return nil, &flow.Error{Op: "open search", Object: "search.aws", Class: flow.Config, Err: err, Hint: hintCredentials}
		}
		provider = conf.Credentials
	}
	if provider == nil {
		provider = aws.AnonymousCredentials{}
	}
	// The cache renews what runs out, once for all who wait.
	return &signer{region: a.Region, credentials: aws.NewCredentialsCache(provider), v4: v4.NewSigner(), now: time.Now}, nil
}

// sign adds the signature to req, whose body is body. The body is read once
// more for its hash, and not copied.
func (s *signer) sign(ctx context.Context, req *http.Request, body []byte) error {
	keys, err := s.credentials.Retrieve(ctx)
	if err == nil && !keys.HasKeys() {
		err = errors.New("there are no credentials")
	}
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &flow.Error{Op: "find credentials for", Object: req.URL.Host, Class: flow.Transient, Err: err, Hint: hintCredentials}
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if err := s.v4.SignHTTP(ctx, keys, req, hash, awsService, s.region, s.now()); err != nil {
		return &flow.Error{Op: "sign a request to", Object: req.URL.Host, Class: flow.Fatal, Err: err}
	}
	return nil
}

// Serverless is why Amazon OpenSearch Serverless is refused.
const Serverless = "Amazon OpenSearch Serverless can't be kept true: it shows writes only after a while and has no call to wait for them (_refresh), " +
	"none to change settings of an index, and versions of writes (external_gte) are not among what it promises"

// refuseServerless ends what would seem to work, and then miss ghosts and drops
// or bring back what was deleted.
func refuseServerless(urls []string) error {
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			continue // parseNodes tells
		}
		host := strings.ToLower(u.Hostname())
		if strings.Contains(host, ".aoss.") && (strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".on.aws") ||
			strings.HasSuffix(host, ".amazonaws.com.cn")) {
			return &flow.Error{
				Op: "open search", Object: host, Class: flow.Config, Err: errors.New(Serverless),
				Hint: "give search.urls a domain of Amazon OpenSearch Service, or any cluster of Elasticsearch or OpenSearch",
			}
		}
	}
	return nil
}

// hintAWS is the cure of a refusal by the gate in front of a domain; "" for
// what the engine itself has said.
func hintAWS(reason string) string {
	switch {
	case strings.Contains(reason, "es:ESHttp"):
		return "the identity that signs lacks es:ESHttp*: allow it in its policy, or in the access policy of the domain"
	case strings.Contains(reason, "Signature expired"), strings.Contains(reason, "Signature not yet current"):
		return "the clock of this machine is wrong by more than five minutes"
	case strings.Contains(reason, "Credential should be scoped"):
		return "search.aws.region is not that of the domain"
	case strings.Contains(reason, "security token"), strings.Contains(reason, "signature we calculated"):
		return hintCredentials
	}
	return ""
}
