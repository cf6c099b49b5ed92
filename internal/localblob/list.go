package localblob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/videoactivmail/vam/internal/blob"
)

// List implements blob.Store. Names that are not ours are passed over.
func (s *Store) List(ctx context.Context) iter.Seq2[blob.ID, error] {
	return func(yield func(blob.ID, error) bool) {
		for i := range shards {
			if err := ctx.Err(); err != nil {
				yield(blob.ID{}, err)
				return
			}
			names, err := readNames(s.root, shardDir(byte(i)))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				yield(blob.ID{}, classify(err))
				return
			}
			for id := range objects(names) {
				if !yield(id, nil) {
					return
				}
			}
		}
	}
}

// objects are the ids among the names of a shard, each once: a media file, its side
// folder, or both.
func objects(names []string) map[blob.ID]bool {
	ids := map[blob.ID]bool{}
	for _, name := range names {
		if id, err := blob.ParseID(strings.TrimSuffix(name, sideSuffix)); err == nil {
			ids[id] = true
		}
	}
	return ids
}

func readNames(root *os.Root, dir string) ([]string, error) {
	d, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err == io.EOF {
		err = nil
	}
	return names, err
}
