package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
)

func testSharedSync(t *testing.T, p *place) {
	obj := p.create(t)
	var g errgroup.Group
	const writers, rounds, n = 16, 20, 512
	for w := range writers {
		g.Go(func() error {
			for i := range rounds {
				off := int64((i*writers + w) * n)
				if _, err := obj.WriteAt(bytesOf(uint64(off), n), off); err != nil {
					return err
				}
				if err := obj.Sync(context.Background()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	check(t, g.Wait())
	var want []byte
	for i := range writers * rounds {
		want = append(want, bytesOf(uint64(i*n), n)...)
	}
	wantContent(t, obj, want)
}

// testRace lets several handles write, read and flush one object while it is opened
// and closed all the time.
func testRace(t *testing.T, p *place) {
	id := p.create(t).ID()
	const parts, n = 64, 4096
	var g errgroup.Group
	written := make(chan int, parts)
	for w := range 4 {
		g.Go(func() error {
			for i := w; i < parts; i += 4 {
				obj, err := p.Open(context.Background(), id)
				if err != nil {
					return err
				}
				if _, err := obj.WriteAt(bytesOf(uint64(i), n), int64(i*n)); err != nil {
					return err
				}
				written <- i
				if err := obj.Close(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 4 {
		g.Go(func() error {
			for range parts / 4 {
				i := <-written
				obj, err := p.Open(context.Background(), id)
				if err != nil {
					return err
				}
				r := obj.Reader(int64(i*n), n)
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, bytesOf(uint64(i), n)) {
					return fmt.Errorf("part %d was read wrongly: %w", i, err)
				}
				if err := obj.Sync(context.Background()); err != nil {
					return err
				}
				if err := r.Close(); err != nil {
					return err
				}
				if err := obj.Close(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	check(t, g.Wait())
}

func testRemove(t *testing.T, p *place) {
	obj := p.create(t)
	other := p.create(t)
	id := obj.ID()
	write(t, obj, []byte("media"), 0)
	sum := putSide(t, obj, []byte("poster"))
	check(t, p.Remove(t.Context(), id))

	_, err := p.Open(t.Context(), id)
	wantKind(t, "opening what was removed", err, vam.NotFound)
	p.wantList(t, other.ID())
	got := make([]byte, 5)
	if _, err := obj.ReadAt(got, 0); err != nil || string(got) != "media" {
		t.Errorf("an open handle reads %q, %v after the removal", got, err)
	}
	_, err = obj.WriteAt([]byte("x"), 0)
	wantKind(t, "writing to what was removed", err, vam.NotFound)
	wantKind(t, "flushing what was removed", obj.Sync(t.Context()), vam.NotFound)
	wantKind(t, "a side blob of what was removed", obj.PutSide(t.Context(), sum, []byte("poster")), vam.NotFound)
	check(t, p.Remove(t.Context(), id))
	check(t, p.Remove(t.Context(), blob.NewID()))

	check(t, p.Create(t.Context(), id))
	again := p.get(t, id)
	if again.Size() != 0 {
		t.Errorf("an object made anew has %d octets", again.Size())
	}
	_, _, err = again.Side(t.Context(), sum)
	wantKind(t, "a side blob from before the removal", err, vam.NotFound)
	p.reopen(t)
	p.wantList(t, other.ID(), id)
}

func testRemoveRace(t *testing.T, p *place) {
	id := blob.NewID()
	ctx := context.Background()
	var g errgroup.Group
	for w := range 8 {
		g.Go(func() error {
			for i := range 20 {
				if err := p.Create(ctx, id); err != nil {
					return fmt.Errorf("create: %w", err)
				}
				if err := useOnce(ctx, p, id, uint64(w*1000+i)); err != nil && vam.KindOf(err) != vam.NotFound {
					return err
				}
				if err := p.Remove(ctx, id); err != nil {
					return fmt.Errorf("remove: %w", err)
				}
			}
			return nil
		})
	}
	check(t, g.Wait())
	p.wantList(t)
}

func useOnce(ctx context.Context, s blob.Store, id blob.ID, seed uint64) error {
	obj, err := s.Open(ctx, id)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer obj.Close()
	p := bytesOf(seed, 100)
	if _, err := obj.WriteAt(p, 0); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := obj.PutSide(ctx, sumOf(p), p); err != nil {
		return fmt.Errorf("side: %w", err)
	}
	if err := obj.Sync(ctx); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

func testList(t *testing.T, p *place) {
	p.wantList(t)
	var ids []blob.ID
	for range 40 {
		id := blob.NewID()
		check(t, p.Create(t.Context(), id))
		ids = append(ids, id)
	}
	p.wantList(t, ids...)
	seen := 0
	for _, err := range p.List(t.Context()) {
		check(t, err)
		if seen++; seen == 3 {
			break
		}
	}
	for _, id := range ids[:20] {
		check(t, p.Remove(t.Context(), id))
	}
	p.wantList(t, ids[20:]...)
	p.reopen(t)
	p.wantList(t, ids[20:]...)
}

func testSidesRace(t *testing.T, p *place) {
	obj := p.create(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				content := bytesOf(uint64(i), 1000+i) // every writer the same ten
				if err := obj.PutSide(context.Background(), sumOf(content), content); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 10 {
		wantSide(t, obj, bytesOf(uint64(i), 1000+i))
	}
}
