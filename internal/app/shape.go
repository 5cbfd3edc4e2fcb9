package app

import (
	"fmt"

	"sluice/internal/config"
	"sluice/internal/flow"
	"sluice/internal/transcode"
	"sluice/internal/transform"
)

// Check tells what of a configuration can be found wrong without any server,
// and is not found by loading it: rules of fields that contradict each other,
// conditions and scripts that can't be understood. The error is of class Config.
func Check(cfg *config.Config) error {
	for i := range cfg.Flows {
		f := &cfg.Flows[i]
		if _, err := planOf(f); err != nil {
			return err
		}
		if _, err := whereOf(f); err != nil {
			return err
		}
		if _, err := scriptsOf(f, nil, nil, nil); err != nil {
			return err
		}
		if _, err := templatesOf(f); err != nil {
			return err
		}
	}
	return nil
}

// planOf compiles how the documents of a flow are written.
func planOf(f *config.Flow) (*transcode.Plan, error) {
	x := f.Fields
	fields := transcode.Fields{
		Include: x.Include, Exclude: x.Exclude, Rename: x.Rename, OnError: transcode.OnError(x.OnError),
		Flatten: x.Flatten, Set: x.Set, Copy: x.Copy, LowerNames: x.LowerNames,
	}
	if len(x.Cast) > 0 {
		fields.Cast = make(map[string]transcode.CastType, len(x.Cast))
		for path, to := range x.Cast {
			fields.Cast[path] = transcode.CastType(to)
		}
	}
	if f.Profile == config.ProfileMonstache { // its defaults say nothing
		fields.OnError = ""
	}
	plan, err := transcode.Compile(renderOf(f), fields)
	if err != nil {
		err = &flow.Error{Op: "read the fields of flow", Object: f.Name, Class: flow.Config, Err: fmt.Errorf("fields: %w", err)}
	}
	return plan, err
}

// whereOf compiles the conditions of a flow; nil without any.
func whereOf(f *config.Flow) (*transform.Where, error) {
	if len(f.Where) == 0 {
		return nil, nil
	}
	conditions := make([]transform.Condition, len(f.Where))
	for i := range f.Where {
		one := &f.Where[i]
		conditions[i] = transform.Condition{Name: one.Pattern, Query: one.Query, Fits: func(ns flow.Namespace) bool { return one.Fits(ns.String()) }}
	}
	w, err := transform.Compile(conditions)
	if err != nil {
		return nil, &flow.Error{Op: "read the conditions of flow", Object: f.Name, Class: flow.Config, Err: err}
	}
	return w, nil
}
