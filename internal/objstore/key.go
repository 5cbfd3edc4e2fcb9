package objstore

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"sluice/internal/flow"
)

// The limits of keys, in bytes: S3 takes 1024 with the prefix, file systems 255
// for a name, of which a temporary file's takes some.
const (
	maxKey     = 1024
	maxSegment = 200
)

// tempPrefix starts the name of a file that is not an object yet.
const tempPrefix = ".sluice-tmp-"

// CheckKey tells whether a key is good in every store: UTF-8 without control
// characters and backslashes, segments of 1 to 200 bytes with single slashes
// between, none of them "." or "..", at most 1024 bytes.
func CheckKey(key string) error {
	if err := checkKey(key); err != nil {
		return &flow.Error{Op: "use object key", Object: fmt.Sprintf("%.120q", key), Class: flow.Config, Err: err}
	}
	return nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("it is empty")
	case len(key) > maxKey:
		return fmt.Errorf("it is longer than %d bytes", maxKey)
	case !utf8.ValidString(key):
		return errors.New("it is not UTF-8")
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return errors.New("it has a control character or a backslash")
	}
	for s := range strings.SplitSeq(key, "/") {
		switch {
		case s == "":
			return errors.New("it has an empty part: a slash at an end, or two in a row")
		case s == "." || s == "..":
			return fmt.Errorf("%q is no part of a key", s)
		case len(s) > maxSegment:
			return fmt.Errorf("a part is longer than %d bytes", maxSegment)
		case strings.HasPrefix(s, tempPrefix):
			return fmt.Errorf("a part starts with %s, which is for unfinished files", tempPrefix)
		}
	}
	return nil
}

// checkPrefix tells whether a List may ask for prefix: the start of a key.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	// Whatever follows completes the last part; "a/" and "a/b" are both starts.
	if strings.HasSuffix(prefix, "/") {
		return CheckKey(strings.TrimSuffix(prefix, "/"))
	}
	if s := prefix[strings.LastIndexByte(prefix, '/')+1:]; s == "." || s == ".." {
		return CheckKey(prefix + "x")
	}
	return CheckKey(prefix)
}
