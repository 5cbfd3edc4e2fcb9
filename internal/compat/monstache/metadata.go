package monstache

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// metadata names the scripts that say of documents what can't be carried out yet:
// else each of their documents would be a dead letter.
func (s *Settings) metadata() []string {
	var lines []string
	for _, row := range s.tables["script"] {
		code := row["script.script"].Text
		if path := row["script.path"].Text; path != "" {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // which the loader tells
			}
			code = string(text)
		}
		if words := metadataOf(code); len(words) > 0 {
			lines = append(lines, fmt.Sprintf("  %s[[script]] sets %s in _meta_monstache: of these, skip alone is carried out. "+
				"In a sluice.yaml, index, id and routing are templates of the flow", anyPlace(row), strings.Join(words, ", ")))
		}
	}
	return lines
}

// metadataOf finds the words that a script sets in _meta_monstache, as far as its
// text tells: "_meta_monstache.index = …", "_meta_monstache = {index: …}".
func metadataOf(code string) []string {
	var words []string
	for _, word := range []string{"index", "id", "routing", "parent", "pipeline", "version", "versionType"} {
		direct := regexp.MustCompile(`_meta_monstache(\.|\[\s*["'])` + word + `\b`)
		object := regexp.MustCompile(`_meta_monstache["'\]\s]*[=:]\s*\{[^}]*["']?\b` + word + `["']?\s*:`)
		if direct.MatchString(code) || object.MatchString(code) {
			words = append(words, word)
		}
	}
	return words
}
