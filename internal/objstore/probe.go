package objstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"sluice/internal/flow"
)

// Probe tries in a store all that an archive needs, with one small object of its
// own that it removes again: put, refuse to put again, look up, read a range,
// list, delete. Its error is that of the first that does not work.
func Probe(ctx context.Context, s Store) error {
	_, err := probe(ctx, s)
	return err
}

// probe is Probe; it returns what the store knew of the object.
func probe(ctx context.Context, s Store) (info Info, err error) {
	key := "sluice-probe/" + rand.Text()
	body := []byte("sluice probe")
	if _, err := s.Put(ctx, key, BytesBody(body), PutOptions{}); err != nil {
		return info, err
	}
	defer func() {
		if derr := s.Delete(context.WithoutCancel(ctx), key); err == nil {
			err = derr
		}
	}()
	if _, err := s.Put(ctx, key, BytesBody([]byte("sluice probe, again")), PutOptions{}); !errors.Is(err, ErrExists) {
		if err != nil {
			return info, err
		}
		return info, broken(key, "the server replaced an object although it was told not to (If-None-Match: *)",
			"Two runs could overwrite each other's objects there. Use a server, or a newer version of it, that knows conditional writes.")
	}
	if info, err = s.Head(ctx, key); err != nil {
		return info, err
	}
	if info.Size != int64(len(body)) || info.SHA256 == "" {
		return info, broken(key, fmt.Sprintf("the object has %d bytes and SHA-256 %q after it was written", info.Size, info.SHA256),
			"The server does not keep what it is given: the body, or the metadata of objects.")
	}
	r, err := s.Get(ctx, key, 7, 5)
	if err != nil {
		return info, err
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return info, err
	}
	if string(got) != string(body[7:12]) {
		return info, broken(key, "a range of the object is not what was written", "")
	}
	for listed, err := range s.List(ctx, key) {
		if err != nil {
			return info, err
		}
		if listed.Key == key {
			return info, nil
		}
	}
	return info, broken(key, "the object is not listed right after it was written",
		"The archive is listed when something is looked for or restored; a store that lists late hides packs for a while.")
}

func broken(key, what, hint string) error {
	return &flow.Error{Op: "try the store", Object: key, Class: flow.Config, Err: errors.New(what), Hint: hint}
}
