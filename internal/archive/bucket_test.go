package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"sluice/internal/cold"
	"sluice/internal/flow"
	"sluice/internal/objstore"
	"sluice/internal/pack"
)

// procShelf is the bucket of a process.
type procShelf struct{ *proc }

func (p procShelf) Place(row *cold.Pack) {
	row.Store, row.Object, row.Manifest = "mem://", row.ID+".bson.zst", row.ID+".manifest"
}

func (p procShelf) put(name, key string, b []byte) error {
	if err := p.call(name); err != nil {
		return err
	}
	p.world.mu.Lock()
	is, ok := p.store[key]
	if ok && !bytes.Equal(is, b) {
		p.world.mu.Unlock()
		return &flow.Error{Op: name, Object: key, Class: flow.Conflict, Err: objstore.ErrExists}
	}
	p.store[key] = b
	p.world.mu.Unlock()
	return p.done(name)
}

func (p procShelf) get(key string) ([]byte, error) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	b, ok := p.store[key]
	if !ok {
		return nil, &flow.Error{Op: "get", Object: key, Class: flow.Fatal, Err: objstore.ErrNotFound}
	}
	return b, nil
}

func (p procShelf) Upload(_ context.Context, row *cold.Pack, body objstore.Body) error {
	b := make([]byte, body.Size())
	if _, err := body.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return p.put("upload", row.Object, b)
}

func (p procShelf) Verify(ctx context.Context, m *pack.Manifest) error {
	if err := p.call("verify"); err != nil {
		return err
	}
	b, err := p.get(m.Header.Object)
	if err != nil {
		return err
	}
	return pack.Verify(ctx, bytes.NewReader(b), m)
}

func (p procShelf) Commit(_ context.Context, m *pack.Manifest) error {
	var b bytes.Buffer
	if err := m.Encode(&b); err != nil {
		return err
	}
	return p.put("commit", m.Header.ID+".manifest", b.Bytes())
}

func (p procShelf) Manifest(_ context.Context, key string) (*pack.Manifest, error) {
	if err := p.call("manifest"); err != nil {
		return nil, err
	}
	b, err := p.get(key)
	if err != nil {
		return nil, err
	}
	return pack.DecodeManifest(bytes.NewReader(b))
}

func (p procShelf) Settle(_ context.Context, row *cold.Pack, ex []cold.Exception) error {
	return p.put("settle", row.ID+".outcome", fmt.Append(nil, row.Deleted, len(ex)))
}

func (p procShelf) Get(_ context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := p.call("get"); err != nil {
		return nil, err
	}
	b, err := p.get(key)
	if err != nil {
		return nil, err
	}
	return memory(b).Get(context.Background(), off, n)
}
