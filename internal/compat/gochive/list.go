package gochive

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/goccy/go-yaml"
)

// scalar is a value of a list as it is written: numbers are texts here, so that a
// wrong one is told with its key.
type scalar string

// UnmarshalYAML takes text and numbers alike.
func (s *scalar) UnmarshalYAML(b []byte) error {
	var v any
	if err := yaml.Unmarshal(b, &v); err != nil {
		return err
	}
	switch x := v.(type) {
	case string:
		*s = scalar(x)
	case nil:
	case uint64:
		*s = scalar(strconv.FormatUint(x, 10))
	case map[string]any, []any:
		return fmt.Errorf("wants a single value, not %s", bytes.TrimSpace(b))
	default:
		*s = scalar(fmt.Sprint(x))
	}
	return nil
}

type listEntry struct {
	Name          scalar `yaml:"name"`
	HostAddress   scalar `yaml:"hostAddress"`
	AgeLimit      scalar `yaml:"ageLimit"`
	QueryLimit    scalar `yaml:"queryLimit"`
	CheckInterval scalar `yaml:"archiveCheckInterval"`
	Collection    scalar `yaml:"collection"`
	Database      scalar `yaml:"database"`
	Field         scalar `yaml:"archiveField"`
	S3            struct {
		Bucket         scalar `yaml:"bucket"`
		UploadInterval scalar `yaml:"uploadInterval"`
	} `yaml:"s3"`
}

// list reads entries: a list, or a map with one key that holds the list.
func list(text []byte) ([]*Entry, error) {
	var all []listEntry
	var whole any
	if err := yaml.Unmarshal(text, &whole); err != nil {
		return nil, fault("-values: %s", yaml.FormatError(err, false, true))
	}
	switch x := whole.(type) {
	case []any:
		if err := strict(text, &all); err != nil {
			return nil, err
		}
	case map[string]any:
		if len(x) != 1 {
			return nil, fault("-values: it has to be a list of entries, or one key that holds the list")
		}
		var under map[string][]listEntry
		if err := strict(text, &under); err != nil {
			return nil, err
		}
		for _, one := range under {
			all = one
		}
	}
	if len(all) == 0 {
		return nil, fault("-values: there is no entry in it; an entry begins with \"- name: …\"")
	}
	out := make([]*Entry, len(all))
	for i, x := range all {
		where := fmt.Sprintf("entry %d", i+1)
		if x.Name != "" {
			where += fmt.Sprintf(" (%s)", x.Name)
		}
		out[i] = &Entry{
			Where: where, Name: string(x.Name), Host: string(x.HostAddress), Database: string(x.Database), Collection: string(x.Collection),
			Field: string(x.Field), AgeLimit: string(x.AgeLimit), Bucket: string(x.S3.Bucket),
			CheckInterval: string(x.CheckInterval), UploadInterval: string(x.S3.UploadInterval), Max: string(x.QueryLimit),
		}
	}
	return out, nil
}

// strict refuses keys that nothing has.
func strict(text []byte, into any) error {
	if err := yaml.UnmarshalWithOptions(text, into, yaml.Strict()); err != nil {
		return fault("-values: %s", yaml.FormatError(err, false, true))
	}
	return nil
}
