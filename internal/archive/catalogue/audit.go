package catalogue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"

	"sluice/internal/mql"
)

// Audit is the record of what was erased from one pack. It holds no content.
type Audit struct {
	Format int       `json:"format"`
	At     time.Time `json:"at"`
	Tool   string    `json:"tool,omitempty"`
	Owner  string    `json:"owner,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Rule   string    `json:"rule,omitempty"`
	NS     string    `json:"namespace"`
	// Old is the pack that held the documents, Object its key, New the one that
	// has taken its place.
	Old    string `json:"old_pack"`
	Object string `json:"old_object"`
	New    string `json:"new_pack"`
	// Documents is how many were erased.
	Documents int `json:"documents"`
	// Keys are the SHA-256 of namespace, a zero byte, and the key (_id) in the form
	// of mql.AppendKey, in hex.
	Keys []string `json:"key_sha256"`
}

// audit puts the record that entries of o were erased. Its key never repeats.
func (f *forgetting) audit(ctx context.Context, o *Opened, successor string, doomed []int) error {
	s, now := f.shelf, f.shelf.o.Now().UTC().Truncate(time.Millisecond)
	h := o.Header
	a := Audit{
		Format: 1, At: now, Tool: s.o.Tool, Owner: s.o.Owner, Reason: f.o.Reason, Rule: h.Rule, NS: h.NS,
		Old: h.ID, Object: h.Object, New: successor, Documents: len(doomed),
	}
	for _, i := range doomed {
		a.Keys = append(a.Keys, keyHash(h.NS, mql.AppendKey(nil, o.Manifest.Entries[i].ID)))
	}
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fail("write audit record of", h.ID, err)
	}
	var unique [4]byte
	_, _ = rand.Read(unique[:]) // never fails
	key := auditDir + "/" + now.Format(time.DateOnly) + "/" + part(h.ID) + "-" + hex.EncodeToString(unique[:]) + ".json"
	if err := s.putNew(ctx, key, append(b, '\n')); err != nil {
		return err
	}
	f.done.Audit = append(f.done.Audit, key)
	return nil
}
