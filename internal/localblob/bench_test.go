package localblob_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/localblob"
)

// One transfer: verified parts of 1 MiB, written and then made durable in the given
// steps, against hashing alone as the limit.
func BenchmarkReceive(b *testing.B) {
	const part = 1 << 20
	content := make([]byte, part)
	sum := blob.Sum(sha256.Sum256(content))
	b.Run("hash", func(b *testing.B) {
		b.SetBytes(part)
		for b.Loop() {
			_ = blob.Check(content, sum)
		}
	})
	for _, every := range []int64{8, 64, 1 << 40} {
		b.Run(fmt.Sprintf("sync-every-%d", every), func(b *testing.B) {
			s := open(b, b.TempDir(), localblob.Options{})
			defer s.Close()
			id := blob.NewID()
			if err := s.Create(b.Context(), id); err != nil {
				b.Fatal(err)
			}
			obj, err := s.Open(b.Context(), id)
			if err != nil {
				b.Fatal(err)
			}
			defer obj.Close()
			b.SetBytes(part)
			var n int64
			for b.Loop() {
				if err := blob.Check(content, sum); err != nil {
					b.Fatal(err)
				}
				if _, err := obj.WriteAt(content, n%1024*part); err != nil {
					b.Fatal(err)
				}
				if n++; n%every == 0 {
					if err := obj.Sync(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
			if err := obj.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// Whole small messages of 100 KiB, each durable by itself.
func BenchmarkSmall(b *testing.B) {
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d-writers", workers), func(b *testing.B) {
			s := open(b, b.TempDir(), localblob.Options{})
			defer s.Close()
			content := make([]byte, 100<<10)
			var failed atomic.Pointer[error]
			b.SetParallelism((workers + 1) / 2) // two cores make two of one
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := small(s, content); err != nil {
						failed.Store(&err)
						return
					}
				}
			})
			if err := failed.Load(); err != nil {
				b.Fatal(*err)
			}
		})
	}
}

func small(s *localblob.Store, content []byte) error {
	ctx, id := context.Background(), blob.NewID()
	if err := s.Create(ctx, id); err != nil {
		return err
	}
	obj, err := s.Open(ctx, id)
	if err != nil {
		return err
	}
	defer obj.Close()
	if _, err := obj.WriteAt(content, 0); err != nil {
		return err
	}
	return obj.Sync(ctx)
}

func BenchmarkRead(b *testing.B) {
	const size = 256 << 20
	s := open(b, b.TempDir(), localblob.Options{})
	defer s.Close()
	id := blob.NewID()
	if err := s.Create(b.Context(), id); err != nil {
		b.Fatal(err)
	}
	obj, err := s.Open(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	defer obj.Close()
	if err := obj.Truncate(size); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		r := obj.Reader(0, size)
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
