package transcode

import (
	"fmt"
	"slices"
	"strings"
)

// deep is the part of a pattern that stands for any number of parts, none included.
const deep = "**"

// pattern is a dotted path taken apart. In include and exclude a part may hold
// stars; see Fields.
type pattern struct {
	text  string
	parts []string
}

// split checks a path and takes it apart. stars: it may be a pattern.
func split(what, path string, stars bool) (pattern, error) {
	parts := strings.Split(path, ".")
	if slices.Contains(parts, "") || strings.ContainsRune(path, 0) {
		return pattern{}, fmt.Errorf("%s: %q is no path such as author.name", what, path)
	}
	if parts[0] == "_id" {
		return pattern{}, fmt.Errorf("%s: %s: the _id is the id of the document in the index, and no field of it", what, path)
	}
	if !stars && strings.Contains(path, "*") {
		return pattern{}, fmt.Errorf("%s: %s: a star can stand in include and exclude only", what, path)
	}
	for _, part := range parts {
		if part != deep && strings.Contains(part, deep) {
			return pattern{}, fmt.Errorf("%s: %s: ** stands for whole parts of a path, as in meta.**, and not beside other characters", what, path)
		}
	}
	// At the end, ** says what * says: whatever is below goes with it.
	if last := len(parts) - 1; parts[last] == deep {
		parts[last] = "*"
	}
	for i := 1; i < len(parts); i++ { // ** after ** adds nothing
		if parts[i] == deep && parts[i-1] == deep {
			parts = slices.Delete(parts, i, i+1)
			i--
		}
	}
	return pattern{text: path, parts: parts}, nil
}

// literal tells whether a part is a name as it is.
func literal(part string) bool { return !strings.Contains(part, "*") }

// isLiteral tells whether the pattern is a path as it is.
func (p pattern) isLiteral() bool { return !strings.Contains(p.text, "*") }

// next adds to dst where in the pattern one stands after a name, beginning at
// pos; fits tells whether a part fits the name. len(p.parts) says: the end.
func (p pattern) next(dst []int, pos int, fits func(part string) bool) []int {
	part := p.parts[pos]
	if part == deep {
		if !slices.Contains(dst, pos) {
			dst = append(dst, pos)
		}
		return p.next(dst, pos+1, fits)
	}
	if fits(part) && !slices.Contains(dst, pos+1) {
		dst = append(dst, pos+1)
	}
	return dst
}

// follow walks along a path without stars: took is how many parts of it were
// taken when the pattern was first at its end (0: never), alive that it may
// still fit something below the whole path.
func (p pattern) follow(path []string) (took int, alive bool) {
	at := []int{0}
	for i, name := range path {
		var now []int
		for _, pos := range at {
			now = p.next(now, pos, func(part string) bool { return fits(part, []byte(name)) })
		}
		if end := slices.Index(now, len(p.parts)); end >= 0 {
			if took == 0 {
				took = i + 1
			}
			now = slices.Delete(now, end, end+1)
		}
		at = now
	}
	return took, len(at) > 0
}

// holds tells whether path lies below p; neither has stars.
func (p pattern) holds(path pattern) bool {
	return len(path.parts) > len(p.parts) && slices.Equal(path.parts[:len(p.parts)], p.parts)
}

// fits tells whether a name fits a part in which each star stands for any
// characters, or none.
func fits(part string, name []byte) bool {
	head, rest, star := strings.Cut(part, "*")
	if !star {
		return string(name) == part
	}
	if len(name) < len(head) || string(name[:len(head)]) != head {
		return false
	}
	name = name[len(head):]
	for {
		piece, more, star := strings.Cut(rest, "*")
		if !star { // what is after the last star is the end of the name
			return len(name) >= len(piece) && string(name[len(name)-len(piece):]) == piece
		}
		k := indexOf(name, piece)
		if k < 0 {
			return false
		}
		name, rest = name[k+len(piece):], more
	}
}

// indexOf is where piece first occurs in name, -1 for nowhere.
func indexOf(name []byte, piece string) int {
	for k := 0; k+len(piece) <= len(name); k++ {
		if string(name[k:k+len(piece)]) == piece {
			return k
		}
	}
	return -1
}
