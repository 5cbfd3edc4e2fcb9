package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Dial makes a client of uri that reads with majority, waits for a first
// answer, and returns it with the URI as it may be shown. It is for the
// packages below this one. Errors are *flow.Error and hold no secret.
func Dial(ctx context.Context, uri, appName string) (*mongo.Client, string, error) {
	client, _, err := connect(ctx, Options{URI: uri, AppName: appName})
	return client, redact(uri), err
}

// Fault makes the *flow.Error of an operation of the driver: with its class,
// and with the cure where there is one. A nil err gives nil.
func Fault(op, object string, err error) error {
	if err == nil {
		return nil
	}
	return fault(op, object, err)
}
