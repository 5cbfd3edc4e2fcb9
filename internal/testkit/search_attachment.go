package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The plug-in that reads text out of files. It is published as a library with a
// list of what it needs, once: for 3.8.0. What it uses of the server is the same
// in 3.6.0, which it is told to be for.
const (
	attachmentPlugin  = "ingest-attachment"
	attachmentVersion = "3.8.0"
	attachmentIn      = "3.6.0"
)

var errAttachmentProduct = errors.New("the plug-in ingest-attachment is to be had for opensearch " + attachmentIn + " without users only")

// withAttachment returns a home like the given one, with the plug-in in it.
func withAttachment(ctx context.Context, d distribution, home string) (string, error) {
	return cached(ctx, filepath.Dir(home), d.folder()+"-attachment", func(ctx context.Context, dir string) error {
		if err := os.CopyFS(dir, os.DirFS(home)); err != nil {
			return err
		}
		plugin := filepath.Join(dir, "plugins", attachmentPlugin)
		if err := os.MkdirAll(plugin, 0o755); err != nil {
			return err
		}
		// tika-parsers has no library, only a list of others, which are named beside it.
		if err := fetchLibraries(ctx, "org.opensearch.plugin:"+attachmentPlugin+":"+attachmentVersion, plugin, "org.apache.tika:tika-parsers"); err != nil {
			return err
		}
		if err := dropShared(plugin, filepath.Join(dir, "lib")); err != nil {
			return err
		}
		text := fmt.Sprintf("name=%s\ndescription=%s\nversion=%s\nopensearch.version=%s\njava.version=21\nclassname=%s\nextended.plugins=\nhas.native.controller=false\n",
			attachmentPlugin, attachmentPlugin, d.version, d.version, "org.opensearch.ingest.attachment.IngestAttachmentPlugin")
		return os.WriteFile(filepath.Join(plugin, "plugin-descriptor.properties"), []byte(text), 0o644)
	})
}
