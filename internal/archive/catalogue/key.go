package catalogue

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"

	"sluice/internal/pack"
)

const (
	extManifest = ".manifest"
	extOutcome  = ".outcome"
	auditDir    = "_audit"
	// maxPart bounds a part of a key, in bytes.
	maxPart = 150
)

// part makes a name fit to be one part of a key in any store: what is not a
// letter, digit or one of -_.$+=@ is written as %XX, as is a first '.', '_' or
// '-'; a long one is cut, and ends with its hash.
func part(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.$+=@", c) >= 0
		if first := i == 0 && strings.IndexByte("._-", c) >= 0; !plain || first {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	s := b.String()
	if s == "" {
		return "%"
	}
	if len(s) > maxPart {
		sum := sha256.Sum256([]byte(name))
		s = s[:maxPart] + "-" + hex.EncodeToString(sum[:8])
	}
	return s
}

// prefix is where the packs of a rule and namespace are; both, or the
// namespace, may be empty.
func prefix(rule, ns string) string {
	switch {
	case rule == "":
		return ""
	case ns == "":
		return part(rule) + "/"
	}
	return part(rule) + "/" + part(ns) + "/"
}

// object is what a key says of the object under it.
type object struct {
	// stem is the key without its end: directory and pack.
	stem string
	kind objectKind
}

type objectKind byte

const (
	foreign objectKind = iota // not ours
	packObject
	manifestObject
	outcomeObject
)

// parse reads a key: one of ours has four parts. The pack of a rewritten one has
// "-" and a piece of its hash behind its id.
func parse(key string) object {
	if strings.Count(key, "/") != 3 || strings.HasPrefix(key, auditDir+"/") {
		return object{}
	}
	for _, e := range []struct {
		ext  string
		kind objectKind
	}{
		{extManifest, manifestObject},
		{extOutcome, outcomeObject},
		{pack.Zstd.Ext(), packObject},
		{pack.Gzip.Ext(), packObject},
	} {
		if stem, ok := strings.CutSuffix(key, e.ext); ok && path.Base(stem) != "" {
			return object{stem, e.kind}
		}
	}
	return object{}
}

// id is the pack that a stem names.
func id(stem string) string { return path.Base(stem) }

func manifestOf(stem string) string { return stem + extManifest }
func outcomeOf(stem string) string  { return stem + extOutcome }

// stemOf is the stem of a manifest's key.
func stemOf(manifest string) string { return strings.TrimSuffix(manifest, extManifest) }

// revision splits the id of a rewritten pack: base and number; of another pack
// the number is 0.
func revision(id string) (base string, n int) {
	at := strings.LastIndex(id, ".r")
	if at < 1 {
		return id, 0
	}
	n, err := strconv.Atoi(id[at+2:])
	if err != nil || n < 1 || strconv.Itoa(n) != id[at+2:] {
		return id, 0
	}
	return id[:at], n
}

// rewritten is the id of the pack that takes the place of another.
func rewritten(id string) string {
	base, n := revision(id)
	return base + ".r" + strconv.Itoa(n+1)
}
