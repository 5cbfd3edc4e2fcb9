package flow

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// VersionEpoch is 2020-01-01T00:00:00Z in Unix seconds: the zero of native versions.
const VersionEpoch = 1577836800

// VersionOf returns the native version of a cluster time: seconds since
// VersionEpoch in the high 32 bits, the increment in the low (rule S1). It fits
// a signed 64-bit long until 2088. Times before the epoch give an error: no
// server that tells the right time sends one.
func VersionOf(t bson.Timestamp) (int64, error) {
	if t.T < VersionEpoch {
		return 0, fmt.Errorf("cluster time %d.%d lies before 2020: the server's clock is wrong", t.T, t.I)
	}
	return int64(t.T-VersionEpoch)<<32 | int64(t.I), nil
}

// TimeOfVersion is the inverse of VersionOf.
func TimeOfVersion(v int64) bson.Timestamp {
	return bson.Timestamp{T: uint32(v>>32) + VersionEpoch, I: uint32(v)}
}
