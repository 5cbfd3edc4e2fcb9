package monstache

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
)

// prefix starts the names of all variables.
const prefix = "MONSTACHE_"

// environment is what the process was given, and how files are read.
type environment struct {
	vars map[string]string
	read func(path string) ([]byte, error)
}

func newEnvironment(vars []string) environment {
	e := environment{vars: map[string]string{}, read: os.ReadFile}
	for _, one := range vars {
		name, value, _ := strings.Cut(one, "=")
		e.vars[name] = value
	}
	return e
}

// readEnvironment returns what the variables give. warnings are about those that
// mean nothing.
func (e environment) readEnvironment(delimiter string) (given values, warnings []string, err error) {
	given = values{}
	known := []string{}
	for _, k := range Keys() {
		if k.Env == "" {
			continue
		}
		name := prefix + k.Env
		if !slices.Contains(known, name) {
			known = append(known, name)
		}
		v, ok, err := e.one(k, name, delimiter)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			given[k.Name] = v
		}
	}
	return given, e.strangers(known), nil
}

// one reads the variable of a key, or the file that NAME__FILE names.
func (e environment) one(k Key, name, delimiter string) (Value, bool, error) {
	from := Origin{Env: name}
	text := e.vars[name]
	if path, ok := e.vars[name+"__FILE"]; ok && path != "" {
		data, err := e.read(path)
		if err != nil {
			return Value{}, false, fault(2, "%s__FILE: can't read %s: %s", name, path, reason(err))
		}
		from = Origin{Env: name + "__FILE", Path: path}
		text = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	}
	if text == "" {
		return Value{}, false, nil
	}
	if k.Env == "LOG_DIR" {
		text = strings.TrimSuffix(text, "/") + "/" + strings.TrimPrefix(k.Name, "logs.") + ".log"
	}
	v, err := parse(k.Kind, text)
	if err != nil {
		return Value{}, false, fault(1, "%s %s", name, err.Error())
	}
	if k.Kind == List {
		v.List = strings.Split(text, delimiter)
	}
	v.From = from
	return v, true, nil
}

// strangers warns of variables with our prefix that nobody reads.
func (e environment) strangers(known []string) []string {
	// What Kubernetes gives every container where a service is called monstache.
	service := regexp.MustCompile(`_(SERVICE_(HOST|PORT)(_.*)?|PORT(_.*)?)$`)
	var all []string
	for name := range e.vars {
		base, _ := strings.CutSuffix(name, "__FILE")
		if !strings.HasPrefix(name, prefix) || slices.Contains(known, base) || service.MatchString(name) {
			continue
		}
		all = append(all, name+" is not read by Monstache, and not by sluice"+didYouMeanUpper(base, known))
	}
	slices.Sort(all)
	return all
}

func didYouMeanUpper(got string, known []string) string {
	lower := make([]string, len(known))
	for i, k := range known {
		lower[i] = strings.ToLower(k)
	}
	if n := nearest(got, lower); n != "" {
		return "; did you mean " + strings.ToUpper(n) + "?"
	}
	return ""
}

// reason is an error of the file system without the path, which stands before it.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}
