package reception_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// grows is a recording that was announced as small, offered to some, and then has size
// octets.
func (in *inbox) grows(t *testing.T, size int, to ...string) *hosttest.Recording {
	t.Helper()
	r := in.recording(t, hosttest.Pattern(partSize, 1))
	for addr, got := range in.taken(t, in.offer(t, r, to...)) {
		if got != "accepted" {
			t.Fatalf("%s: %s", addr, got)
		}
	}
	r.AddFile(hosttest.Pattern(size-partSize, 2), 100*partSize)
	r.Seal()
	return r
}

// TestGrowsBeyondAMailbox: the sizes that the log tells later are compared with the quota
// before the media is asked for (AM-6.16).
func TestGrowsBeyondAMailbox(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	carol, dave := in.Account("carol@b.example", 2_000_000), in.Account("dave@b.example", 50*partSize)
	r := in.grows(t, 1_000_000, "bob@b.example", "carol@b.example", "dave@b.example")
	in.settled(t)
	got := map[string]mailbox.State{"bob": in.state(t, in.bob, r), "carol": in.state(t, carol, r), "dave": in.state(t, dave, r)}
	if want := (map[string]mailbox.State{"bob": mailbox.Stored, "carol": mailbox.Stored, "dave": mailbox.Failed}); !cmp.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := in.away.Receipts(), []string{"bob@b.example stored", "carol@b.example stored", "dave@b.example failed"}; !cmp.Equal(got, want) {
		t.Errorf("receipts %v, want %v", got, want)
	}
	before := in.away.MediaBytes()
	r = in.grows(t, 900_000, "dave@b.example")
	in.settled(t)
	if st := in.state(t, dave, r); st != mailbox.Failed {
		t.Errorf("dave, who has no room, has it %s", st)
	}
	if n := in.away.MediaBytes() - before; n > partSize { // what was announced
		t.Errorf("%d octets were fetched for nobody", n)
	}
}

// TestGrowsBeyondTheDisk: it waits until there is room.
func TestGrowsBeyondTheDisk(t *testing.T) {
	free := vam.Bytes(300_000)
	in := newInbox(t, hosttest.Options{Free: func(context.Context) (vam.Bytes, error) { return free, nil }})
	r := in.grows(t, 1_000_000, "bob@b.example")
	if errs := in.Work(t.Context(), queue.Pull); len(errs) != 1 || vam.KindOf(errs[0]) != vam.OverQuota {
		t.Fatalf("errors %v", errs)
	}
	if n := in.away.MediaBytes(); n > partSize {
		t.Errorf("%d octets were fetched", n)
	}
	free = 2_000_000
	in.Clock.Advance(time.Hour)
	in.settled(t)
	if st := in.state(t, in.bob, r); st != mailbox.Stored {
		t.Errorf("when there is room it is %s", st)
	}
}

// TestGrowsBeyondTheAllowance: what was not announced is charged to the domain (AM-10.25).
func TestGrowsBeyondTheAllowance(t *testing.T) {
	var charged vam.Bytes
	var refuse error
	in := newInbox(t, hosttest.Options{Grew: func(_ message.Key, octets vam.Bytes) error {
		if refuse == nil {
			charged += octets
		}
		return refuse
	}})
	refuse = vam.Errorf(vam.Busy, "the day's allowance is used up")
	r := in.grows(t, 1_000_000, "bob@b.example")
	if errs := in.Work(t.Context(), queue.Pull); len(errs) != 1 || vam.KindOf(errs[0]) != vam.Busy || in.away.MediaBytes() > partSize {
		t.Fatalf("errors %v, %d octets", errs, in.away.MediaBytes())
	}
	refuse = nil
	in.Clock.Advance(7 * time.Hour)
	in.settled(t)
	if st := in.state(t, in.bob, r); st != mailbox.Stored || charged != 0 { // the attempt began with all of its size
		t.Errorf("%s, charged %d", st, charged)
	}
	r = in.grows(t, 800_000, "bob@b.example")
	in.settled(t)
	if st := in.state(t, in.bob, r); st != mailbox.Stored || charged != 800_000-partSize {
		t.Errorf("%s, charged %d", st, charged)
	}
}
