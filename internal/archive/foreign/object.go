package foreign

import (
	"cmp"
	"context"
	"path"
	"regexp"
	"slices"
	"time"

	"sluice/internal/objstore"
)

// Object is a file that go-chive uploaded.
type Object struct {
	Key string `json:"object"`
	// Collection and Written are by the object's name. The name holds the local
	// time of the process that wrote it; it is taken for UTC.
	Collection string    `json:"collection"`
	Written    time.Time `json:"written,omitzero"`
	Size       int64     `json:"bytes"`
	// Modified is the store's time, which a copy of the bucket changes.
	Modified time.Time `json:"modified"`
	Cold     bool      `json:"cold,omitempty"`
}

// Which chooses objects; what is empty sets no bound.
type Which struct {
	// Collection is that of the object's name.
	Collection string
	// Key is that of one object, which then may have any name.
	Key string
}

// List returns the objects, the oldest first, and how many others were left out
// since their names are not those that go-chive gives.
func List(ctx context.Context, store objstore.Reader, w Which) (all []Object, others int, err error) {
	all = []Object{}
	for info, err := range store.List(ctx, w.Key) {
		if err != nil {
			return nil, 0, err
		}
		o, ok := named(info)
		switch {
		case w.Key != "" && info.Key == w.Key:
		case w.Key != "":
			continue
		case !ok:
			others++
			continue
		case w.Collection != "" && o.Collection != w.Collection:
			continue
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Object) int {
		return cmp.Or(a.time().Compare(b.time()), a.Modified.Compare(b.Modified), cmp.Compare(a.Key, b.Key))
	})
	return all, others, nil
}

func named(info objstore.Info) (Object, bool) {
	o := Object{Key: info.Key, Size: info.Size, Modified: info.Modified.UTC(), Cold: info.Cold}
	m := regexp.MustCompile(`^(.+)_archive_(\d{8}_\d{6})\.tar\.gz$`).FindStringSubmatch(path.Base(info.Key))
	if m == nil {
		return o, false
	}
	at, err := time.Parse("20060102_150405", m[2])
	if err != nil {
		return o, false
	}
	o.Collection, o.Written = m[1], at
	return o, true
}

// time is when the object was written, as well as it is known.
func (o *Object) time() time.Time {
	if o.Written.IsZero() {
		return o.Modified
	}
	return o.Written
}
