package reception_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// settled works the jobs until none is due, moving the clock over the pauses.
func (in *inbox) settled(t *testing.T) {
	t.Helper()
	for range 200 {
		if len(in.Work(t.Context())) == 0 {
			return
		}
		in.Clock.Advance(2 * time.Hour)
	}
	t.Fatal("it never comes to an end")
}

func TestPull(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(10*partSize+1, 1))
	poster := hosttest.Pattern(300, 7)
	r.Add(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, poster)
	r.Seal()
	o := in.offer(t, r, "bob@b.example")
	o.Log = o.Log[:3] // the rest of the log is pulled
	o.Checkpoint = r.Checkpoint(3)
	in.taken(t, o)
	if errs := in.Work(t.Context()); len(errs) > 0 {
		t.Fatal(errs)
	}
	if st := in.state(t, in.bob, r); st != mailbox.Stored {
		t.Fatalf("bob has it %s", st)
	}
	in.wantMedia(t, r)
	if n, err := in.Messages.Check(t.Context(), r.Key, func(l message.Line, err error) { t.Errorf("line %d: %v", l.N, err) }); err != nil || n != 10*partSize+1+300 {
		t.Errorf("check %d, %v", n, err)
	}
	if in.away.MediaBytes() != 10*partSize+1 {
		t.Errorf("%d octets of media came", in.away.MediaBytes())
	}
	if got := in.away.Receipts(); !cmp.Equal(got, []string{"bob@b.example stored"}) {
		t.Errorf("receipts %v", got)
	}
	m, err := in.Messages.Get(t.Context(), r.Key)
	if err != nil || !m.Complete || m.State != vam.Sealed {
		t.Errorf("%+v, %v", m, err)
	}
}

// The link is cut after every k-th octet: the message arrives whole, and nothing that
// was verified comes twice.
func TestPullCutAtEveryOctet(t *testing.T) {
	content := hosttest.Pattern(4*partSize+7, 1)
	in := newInbox(t, hosttest.Options{Lanes: 2, Chunk: 2 * partSize})
	step := 1
	if testing.Short() || raceEnabled {
		step = 211
	}
	for cut := 1; cut <= 2*partSize+10; cut += step {
		content[0], content[1] = byte(cut), byte(cut>>8)
		r := in.recording(t, content)
		r.Seal()
		in.taken(t, in.offer(t, r, "bob@b.example"))
		before := in.away.MediaBytes()
		in.away.Cut.Store(int64(cut))
		if cut < partSize { // not even one part comes through: only now and then
			var n atomic.Int32
			in.away.Fail = func(op string) error {
				if op == "media" && n.Add(1)%4 == 0 {
					in.away.Cut.Store(0)
				} else {
					in.away.Cut.Store(int64(cut))
				}
				return nil
			}
		}
		in.settled(t)
		in.away.Cut.Store(0)
		in.away.Fail = nil
		if st := in.state(t, in.bob, r); st != mailbox.Stored {
			t.Fatalf("cut at %d: bob has it %s", cut, st)
		}
		if extra := in.away.MediaBytes() - before - int64(len(content)); cut > partSize && extra > int64(6*partSize) {
			t.Errorf("cut at %d: %d octets came twice", cut, extra)
		}
		if err := in.Messages.VerifyDigest(t.Context(), r.Key); err != nil {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

// A stop in the middle of a transfer keeps what was flushed; what was not is found
// again on the disk.
func TestPullAcrossRestarts(t *testing.T) {
	content := hosttest.Pattern(30*partSize, 1)
	in := newInbox(t, hosttest.Options{Lanes: 2, Chunk: partSize})
	r := in.recording(t, content)
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example"))
	for i := range 8 {
		ctx, stop := context.WithCancel(t.Context())
		var n atomic.Int32
		in.away.Fail = func(op string) error {
			if op == "media" && n.Add(1) == 4 {
				stop()
				return vam.Errorf(vam.Unavailable, "the process ends here")
			}
			return nil
		}
		jobs, err := in.DB.Queue().Jobs(t.Context(), "", 10)
		if err != nil || len(jobs) != 1 {
			t.Fatal(jobs, err)
		}
		if err := in.Reception.Pull(ctx, jobs[0]); err == nil {
			break
		} else if !errors.Is(err, context.Canceled) {
			t.Fatalf("attempt %d: %v", i, err)
		}
		stop()
		in.Reopen()
	}
	in.away.Fail = nil
	in.settled(t)
	in.wantMedia(t, r)
	if extra := in.away.MediaBytes() - int64(len(content)); extra > 8*2*partSize {
		t.Errorf("%d octets came twice in 8 stops with two lanes", extra)
	}
}

func TestPullLies(t *testing.T) {
	content := hosttest.Pattern(6*partSize, 1)
	for name, tt := range map[string]struct {
		lie    func(n *int, off int64, data []byte) []byte
		stored bool
	}{
		"once": {func(n *int, _ int64, data []byte) []byte {
			if *n++; *n == 1 {
				data[5] ^= 1
			}
			return data
		}, true},
		"always at one part": {func(_ *int, off int64, data []byte) []byte {
			if at := int64(3*partSize) - off; at >= 0 && at < int64(len(data)) {
				data[at] ^= 1
			}
			return data
		}, false},
		"other octets": {func(_ *int, _ int64, data []byte) []byte { return bytes.Repeat([]byte("x"), len(data)) }, false},
		"endless": {func(_ *int, off int64, data []byte) []byte {
			if off >= 0 {
				data = append(data, bytes.Repeat([]byte("x"), 1<<20)...)
			}
			return data
		}, true},
		"nothing every third time": {func(n *int, _ int64, data []byte) []byte {
			if *n++; *n%3 == 1 {
				return nil
			}
			return data
		}, true},
		"another poster": {func(_ *int, off int64, data []byte) []byte {
			if off < 0 {
				return []byte("evil")
			}
			return data
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInbox(t, hosttest.Options{Lanes: 1})
			r := in.recording(t, content)
			r.Add(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, []byte("poster"))
			r.Seal()
			in.taken(t, in.offer(t, r, "bob@b.example"))
			n := 0
			in.away.Lie = func(off int64, data []byte) []byte { return tt.lie(&n, off, data) }
			in.settled(t)
			want, receipt := mailbox.Stored, "bob@b.example stored"
			if !tt.stored {
				want, receipt = mailbox.Failed, "bob@b.example failed"
			}
			if st := in.state(t, in.bob, r); st != want {
				t.Errorf("bob has it %s, want %s", st, want)
			}
			if got := in.away.Receipts(); !cmp.Equal(got, []string{receipt}) {
				t.Errorf("receipts %v", got)
			}
			if in.away.MediaBytes() > 10*int64(len(content)) {
				t.Errorf("%d octets were read", in.away.MediaBytes())
			}
			if tt.stored {
				in.wantMedia(t, r)
			}
			jobs, err := in.DB.Queue().Jobs(t.Context(), "", 10)
			if err != nil || len(jobs) != 0 {
				t.Errorf("jobs are left: %v, %v", jobs, err)
			}
		})
	}
}

// A log that its origin cannot continue ends the message, and says so once.
func TestPullOfABadLog(t *testing.T) {
	content := hosttest.Pattern(6*partSize, 1)
	for name, spoil := range map[string]func(in *inbox, r, other *hosttest.Recording){
		"a bad line":      func(_ *inbox, r, _ *hosttest.Recording) { r.AddLine([]byte(`{"k":"part"}`)) },
		"a critical line": func(_ *inbox, r, _ *hosttest.Recording) { r.AddLine([]byte(`{"k":"future","crit":1}`)) },
		"split view":      func(in *inbox, _, other *hosttest.Recording) { in.away.Add(other) },
		"another key": func(in *inbox, _, other *hosttest.Recording) {
			other.Priv = hosttest.NewRecording(t, "a.example", time.Now()).Priv
			in.away.Add(other)
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInbox(t, hosttest.Options{})
			r := in.recording(t, content)
			in.taken(t, in.offer(t, r, "bob@b.example"))
			other := hosttest.NewRecording(t, "a.example", in.Clock.Now())
			other.Key, other.Priv = r.Key, r.Priv
			other.Add(activmail.Record{Kind: activmail.RecordPart, ContentType: "video/mp4"}, content[:partSize]) // said otherwise
			other.AddFile(content[partSize:], partSize)
			other.AddFile(hosttest.Pattern(3*partSize, 2), partSize)
			spoil(in, r, other)
			r.Seal()
			in.settled(t)
			if st := in.state(t, in.bob, r); st != mailbox.Failed {
				t.Errorf("bob has it %s", st)
			}
			if got := in.away.Receipts(); !cmp.Equal(got, []string{"bob@b.example failed"}) {
				t.Errorf("receipts %v", got)
			}
			evidence, err := in.DB.Messages().Evidence(t.Context(), r.Key)
			if err != nil || (len(evidence) > 0) != (name == "split view") {
				t.Errorf("%d quarrels are kept, %v", len(evidence), err)
			}
		})
	}
}

// The seal, and the letter, must say what the parts are.
func TestPullContradictions(t *testing.T) {
	content := hosttest.Pattern(6*partSize, 1)
	t.Run("seal with another digest", func(t *testing.T) {
		in := newInbox(t, hosttest.Options{})
		r := in.recording(t, content)
		o := in.offer(t, r, "bob@b.example")
		r.Add(activmail.Record{Kind: activmail.RecordSeal, Bytes: vam.Bytes(len(content)), SHA256: activmail.Sum{1}}, nil)
		in.taken(t, o)
		in.settled(t)
		if st := in.state(t, in.bob, r); st != mailbox.Withdrawn {
			t.Errorf("bob has it %s", st)
		}
		if got := in.away.Receipts(); !cmp.Equal(got, []string{"bob@b.example failed", "bob@b.example stored"}) {
			t.Errorf("receipts %v", got)
		}
	})
	t.Run("letter of another log", func(t *testing.T) {
		in := newInbox(t, hosttest.Options{})
		r := in.recording(t, content)
		r.Seal()
		o := in.offer(t, r, "bob@b.example")
		other := hosttest.NewRecording(t, "a.example", in.Clock.Now())
		other.Key, other.Priv = r.Key, r.Priv
		other.AddFile(hosttest.Pattern(6*partSize, 2), partSize)
		other.Seal()
		o.Log, o.Checkpoint = other.Lines(0, 7), other.Checkpoint(7)
		if _, _, err := in.put(t, o); vam.KindOf(err) != vam.Corrupt {
			t.Errorf("an offer of another log than its letter's: %v", err)
		}
		o.Log, o.Checkpoint = other.Lines(0, 2), other.Checkpoint(2)
		in.away.Add(other)
		in.taken(t, o)
		in.settled(t)
		if st := in.state(t, in.bob, r); st != mailbox.Failed {
			t.Errorf("bob has it %s", st)
		}
		if n := in.away.MediaBytes(); n > 2*partSize {
			t.Errorf("%d octets were fetched of what the letter was not written over", n)
		}
	})
}

// An origin may send its log in pieces under checkpoints of all of it (AM-7.7).
func TestPullLogInPieces(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(23*partSize, 1))
	r.Seal()
	o := in.offer(t, r, "bob@b.example")
	o.Log, o.Checkpoint = o.Log[:2], r.Checkpoint(2)
	in.taken(t, o)
	in.away.Few = 5
	if errs := in.Work(t.Context()); len(errs) > 0 {
		t.Fatal(errs)
	}
	in.wantMedia(t, r)
	if n := in.away.Asked("log"); n != 5 {
		t.Errorf("the log was asked for %d times", n)
	}
}

// Bytes that are here already do not come again: for a second message of a domain that
// sent them, and for nobody else.
func TestPullReuses(t *testing.T) {
	content := hosttest.Pattern(20*partSize, 1)
	in := newInbox(t, hosttest.Options{})
	carol := in.Account("carol@b.example", 0)
	first := in.recording(t, content)
	first.Seal()
	in.taken(t, in.offer(t, first, "bob@b.example"))
	in.settled(t)
	for name, lines := range map[string]int64{"the log is in the offer": 1000, "the log is to be fetched": 3, "only a checkpoint of nothing": 0} {
		before := in.away.MediaBytes()
		r := in.recording(t, content)
		r.Add(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, []byte("poster of "+name))
		r.Seal()
		o := in.offer(t, r, "carol@b.example")
		if lines < int64(len(o.Log)) {
			o.Log, o.Checkpoint = o.Log[:lines], r.Checkpoint(lines)
		}
		in.taken(t, o)
		in.settled(t)
		if st := in.state(t, carol, r); st != mailbox.Stored {
			t.Fatalf("%s: carol has it %s", name, st)
		}
		in.wantMedia(t, r)
		if n := in.away.MediaBytes() - before; n != 0 {
			t.Errorf("%s: %d octets came again", name, n)
		}
		if _, err := in.Messages.Check(t.Context(), r.Key, func(l message.Line, err error) { t.Errorf("%s: line %d: %v", name, l.N, err) }); err != nil {
			t.Error(err)
		}
	}
	stranger := hosttest.NewRecording(t, "c.example", in.Clock.Now())
	stranger.AddFile(content, partSize)
	stranger.Seal()
	in.away.Add(stranger)
	in.away.Fail = func(op string) error {
		if op == "media" {
			return vam.Errorf(vam.NotFound, "I only know the hash")
		}
		return nil
	}
	in.signer = mailauthtest.Signer(t, in.zone, "c.example")
	o := stranger.Offer(in.signer, in.Clock.Now(), stranger.Size(), hosttest.Address(t, "carol@b.example"))
	in.taken(t, o)
	in.Work(t.Context())
	if st := in.state(t, carol, stranger); st != mailbox.Arriving {
		t.Errorf("a hash opened somebody else's file: %s", st)
	}
}

// What may be here already is waited for, and nothing else: media of the same size that
// begins alike, from who sent it.
func TestPullMayReuse(t *testing.T) {
	content := hosttest.Pattern(20*partSize, 1)
	in := newInbox(t, hosttest.Options{})
	first := in.recording(t, content)
	first.Seal()
	in.taken(t, in.offer(t, first, "bob@b.example"))
	in.settled(t)
	for name, c := range map[string]struct {
		content []byte
		lines   int64
		peer    vam.Domain
		want    bool
	}{
		"the same":              {content, 3, "a.example", true},
		"nothing known of it":   {content, 0, "a.example", true},
		"another beginning":     {hosttest.Pattern(20*partSize, 2), 3, "a.example", false},
		"another size":          {content[:19*partSize], 3, "a.example", false},
		"from who never had it": {content, 3, "c.example", false},
	} {
		r := in.recording(t, c.content)
		r.Seal()
		o := in.offer(t, r, "bob@b.example")
		o.Log, o.Checkpoint = o.Log[:c.lines], r.Checkpoint(c.lines)
		in.taken(t, o)
		if may, err := in.Messages.MayBeReusable(t.Context(), r.Key, c.peer); err != nil || may != c.want {
			t.Errorf("%s: %t, %v", name, may, err)
		}
	}
}

// A second recipient costs nothing.
func TestSecondRecipient(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	carol := in.Account("carol@b.example", 0)
	r := in.recording(t, hosttest.Pattern(5*partSize, 1))
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example"))
	in.settled(t)
	asked := in.away.Asked("origin")
	in.taken(t, in.offer(t, r, "carol@b.example"))
	in.settled(t)
	if st := in.state(t, carol, r); st != mailbox.Stored {
		t.Errorf("carol has it %s", st)
	}
	if in.away.Asked("origin") != asked {
		t.Error("the origin was asked again")
	}
	if got := in.away.Receipts(); !cmp.Equal(got, []string{"bob@b.example stored", "carol@b.example stored"}) {
		t.Errorf("receipts %v", got)
	}
}

// Only a record under the message key takes a message away (AM-8.17).
func TestOnlyTheLogDeletes(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	for _, kind := range []vam.ErrorKind{vam.Gone, vam.NotFound, vam.Denied, vam.Unauthenticated, vam.Invalid, vam.Conflict, vam.NotVAM, vam.TooLarge, vam.Corrupt, vam.Internal} {
		t.Run(kind.String(), func(t *testing.T) {
			in.away.Fail = nil
			stored, coming := in.recording(t, hosttest.Pattern(4*partSize, 2*byte(kind))), in.recording(t, hosttest.Pattern(4*partSize, 2*byte(kind)+1))
			stored.Seal()
			in.taken(t, in.offer(t, stored, "bob@b.example"))
			in.settled(t)
			coming.Seal()
			in.taken(t, in.offer(t, coming, "bob@b.example"))
			in.away.Fail = func(op string) error {
				if op == "receipt" {
					return nil
				}
				return vam.Errorf(kind, "go away")
			}
			if err := in.Reception.Poke(t.Context(), stored.Key); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				in.Work(t.Context())
				in.Clock.Advance(2 * time.Hour)
			}
			if st := in.state(t, in.bob, stored); st != mailbox.Stored {
				t.Errorf("what was here is %s", st)
			}
			if st := in.state(t, in.bob, coming); st != mailbox.Arriving {
				t.Errorf("what was coming is %s", st)
			}
			in.wantMedia(t, stored)
			in.away.Fail = nil
			in.settled(t)
			if st := in.state(t, in.bob, coming); st != mailbox.Stored {
				t.Errorf("when the origin is well again, it is %s", st)
			}
		})
	}
}

// A message that was accepted and cannot be had for a week ends, and its sender is told.
func TestPullGivesUp(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(4*partSize, 1))
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example"))
	in.away.Fail = func(op string) error {
		if op == "receipt" {
			return nil
		}
		return vam.Errorf(vam.Unavailable, "nobody answers")
	}
	for range 7 * 24 {
		in.Work(t.Context())
		in.Clock.Advance(time.Hour)
		if st := in.state(t, in.bob, r); st != mailbox.Arriving {
			t.Fatalf("it is %s too early", st)
		}
	}
	in.Clock.Advance(time.Hour)
	in.settled(t)
	if st := in.state(t, in.bob, r); st != mailbox.Failed {
		t.Errorf("bob has it %s", st)
	}
	if got := in.away.Receipts(); !cmp.Equal(got, []string{"bob@b.example failed"}) {
		t.Errorf("receipts %v", got)
	}
	if jobs, err := in.DB.Queue().Jobs(t.Context(), "", 10); err != nil || len(jobs) != 0 {
		t.Errorf("jobs are left: %v, %v", jobs, err)
	}
}

// The week in which nothing came is counted from what came last, also by a server that was
// started since (AM-8.21).
func TestPullGivesUpAfterTheLastProgress(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(40*partSize, 1))
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example"))
	down := func(op string) error {
		if op == "receipt" {
			return nil
		}
		return vam.Errorf(vam.Unavailable, "nobody answers")
	}
	in.away.Fail = down
	in.Work(t.Context())
	in.Clock.Advance(6 * 24 * time.Hour)
	in.away.Fail = func(op string) error {
		if op == "media" && in.away.Asked("media") > 1 {
			return vam.Errorf(vam.Unavailable, "that was it")
		}
		return nil
	}
	in.Work(t.Context())
	if in.away.MediaBytes() == 0 {
		t.Fatal("nothing came on the sixth day")
	}
	in.away.Fail = down
	in.Clock.Advance(2 * 24 * time.Hour)
	in.Reopen()
	in.Work(t.Context())
	if st := in.state(t, in.bob, r); st != mailbox.Arriving {
		t.Fatalf("two days after something came it is %s", st)
	}
	in.Clock.Advance(6 * 24 * time.Hour)
	in.Reopen()
	in.Work(t.Context())
	if st := in.state(t, in.bob, r); st != mailbox.Failed {
		t.Errorf("a week after something came it is %s", st)
	}
}

func TestTokens(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(4*partSize, 1))
	r.Seal()
	o := in.offer(t, r, "bob@b.example")
	in.taken(t, o)
	in.away.Token = func(tok activmail.Token) bool { return tok != o.Token } // the first one is not taken
	in.settled(t)
	if st := in.state(t, in.bob, r); st != mailbox.Stored || in.away.Asked("renew") != 1 {
		t.Errorf("%s after %d renewals", st, in.away.Asked("renew"))
	}
	in.away.Token = nil
	r = in.recording(t, hosttest.Pattern(4*partSize, 2))
	r.Seal()
	in.away.Fail = func(op string) error {
		if op == "origin" {
			return vam.Errorf(vam.Unavailable, "later")
		}
		return nil
	}
	in.taken(t, in.offer(t, r, "bob@b.example"))
	in.Work(t.Context())
	in.Clock.Advance(activmail.MaxTokenLife - time.Minute) // it is about to end
	in.away.Fail = nil
	in.settled(t)
	if st := in.state(t, in.bob, r); st != mailbox.Stored || in.away.Asked("renew") != 2 {
		t.Errorf("%s after %d renewals", st, in.away.Asked("renew"))
	}
	// A token that is never taken is no failure of the message for a while (AM-7.22).
	r = in.recording(t, hosttest.Pattern(4*partSize, 3))
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example"))
	in.away.Token = func(activmail.Token) bool { return false }
	in.Work(t.Context())
	if st := in.state(t, in.bob, r); st != mailbox.Arriving || in.away.Asked("renew") != 3 {
		t.Errorf("%s after %d renewals", st, in.away.Asked("renew"))
	}
}

func TestRevokeAndExpire(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(4*partSize, 1))
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example"))
	in.settled(t)
	at := in.Clock.Now().Add(time.Hour).Truncate(time.Second)
	r.Add(activmail.Record{Kind: activmail.RecordExpire, At: at}, nil)
	if err := in.Reception.Poke(t.Context(), r.Key); err != nil {
		t.Fatal(err)
	}
	in.settled(t)
	m, err := in.Messages.Get(t.Context(), r.Key)
	if err != nil || !m.Expires.Equal(at) || m.State != vam.Sealed {
		t.Fatalf("%+v, %v", m, err)
	}
	r.Revoke()
	for range 2 {
		if err := in.Reception.Poke(t.Context(), r.Key); err != nil {
			t.Fatal(err)
		}
		in.settled(t)
	}
	if st := in.state(t, in.bob, r); st != mailbox.Withdrawn {
		t.Errorf("bob has it %s", st)
	}
	if got := in.away.Receipts(); !cmp.Equal(got, []string{"bob@b.example stored", "bob@b.example withdrawn"}) {
		t.Errorf("receipts %v", got)
	}
	_, err = in.Messages.OpenMedia(t.Context(), r.Key)
	wantKind(t, err, vam.Gone, "revoked")

	// Expiry tells no one (AM-8.18), and what has expired is not pulled.
	r = in.recording(t, hosttest.Pattern(4*partSize, 2))
	at = in.Clock.Now().Add(time.Hour).Truncate(time.Second)
	r.Add(activmail.Record{Kind: activmail.RecordExpire, At: at}, nil)
	r.Seal()
	in.away.Fail = func(op string) error { return vam.Errorf(vam.Unavailable, "not now") }
	in.taken(t, in.offer(t, r, "bob@b.example"))
	in.Work(t.Context())
	in.Clock.Advance(2 * time.Hour)
	if keys, err := in.DB.Retention().Expire(t.Context(), in.Clock.Now(), 10); err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	in.Messages.Forget(r.Key)
	in.away.Fail = nil
	in.settled(t)
	if st := in.state(t, in.bob, r); st != mailbox.Expired {
		t.Errorf("bob has it %s", st)
	}
	if got := in.away.Receipts(); len(got) != 2 {
		t.Errorf("receipts %v", got)
	}
	_, _, err = in.put(t, in.offer(t, r, "bob@b.example"))
	wantKind(t, err, vam.Gone, "expired")
}

// An empty file is a message too.
func TestPullOfNothing(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, nil)
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example"))
	in.settled(t)
	if st := in.state(t, in.bob, r); st != mailbox.Stored {
		t.Errorf("bob has it %s", st)
	}
}

// Memory is bounded whatever an origin says: a log of lines without end is left.
func TestPullOfAnEndlessLog(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(partSize, 1))
	in.taken(t, in.offer(t, r, "bob@b.example"))
	in.away.Endless = true
	if errs := in.Work(t.Context(), queue.Pull); len(errs) != 1 {
		t.Fatalf("errors %v", errs)
	}
	if n := in.away.Asked("line"); n > 70<<20/2000 {
		t.Errorf("%d lines were kept", n)
	}
	if st := in.state(t, in.bob, r); st != mailbox.Arriving {
		t.Errorf("bob has it %s", st)
	}
}

// The log of a message that nobody accepted counts for no mailbox: no more than a little of
// it is kept, and the rest comes when somebody accepts.
func TestPullOfALogThatNobodyWants(t *testing.T) {
	in := newInbox(t, hosttest.Options{Hold: true})
	short, long := in.recording(t, hosttest.Pattern(partSize, 1)), in.recording(t, hosttest.Pattern(partSize, 2))
	wordy := in.recording(t, hosttest.Pattern(partSize, 3))
	for _, r := range []*hosttest.Recording{short, long, wordy} {
		in.taken(t, in.offer(t, r, "bob@b.example"))
		poked := r.Size()
		switch r {
		case short:
			for range 1000 {
				r.Add(activmail.Record{Kind: activmail.RecordPart}, []byte{1})
			}
			r.Revoke()
			poked = r.Size()
		case long:
			for range 6000 {
				r.Add(activmail.Record{Kind: activmail.RecordPart}, []byte{1})
			}
		case wordy:
			for range 2000 {
				r.AddLine([]byte(`{"k":"note","x":"` + strings.Repeat("x", 1500) + `"}`))
			}
		}
		for range 3 {
			if err := in.Reception.Poke(t.Context(), r.Key); err != nil {
				t.Fatal(err)
			}
			in.settled(t)
		}
		m, err := in.Messages.Get(t.Context(), r.Key)
		if err != nil || m.Head.Lines != poked {
			t.Errorf("%d lines are kept of a log of %d, want %d: %v", m.Head.Lines, r.Size(), poked, err)
		}
	}
	if st := in.state(t, in.bob, short); st != mailbox.Withdrawn {
		t.Errorf("what was taken back is %s", st)
	}
	long.Seal()
	if err := in.Reception.Accept(t.Context(), in.bob, long.Key); err != nil {
		t.Fatal(err)
	}
	in.settled(t)
	if st := in.state(t, in.bob, long); st != mailbox.Stored {
		t.Errorf("after it was accepted it is %s", st)
	}
}

func TestReceiptsAreToldForAWhile(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(partSize, 1))
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example"))
	for kind, again := range map[vam.ErrorKind]bool{
		vam.Unavailable: true, vam.Busy: true, vam.Internal: true, vam.NotVAM: true, vam.Unauthenticated: true,
	} {
		in.away.Fail = func(op string) error {
			if op == "receipt" {
				return vam.Errorf(kind, "no")
			}
			return nil
		}
		errs := in.Work(t.Context())
		if (len(errs) > 0) != again {
			t.Errorf("%s: %v", kind, errs)
		}
		in.Clock.Advance(7 * time.Hour)
	}
	in.Clock.Advance(15 * 24 * time.Hour)
	in.settled(t) // its time is over
	if jobs, err := in.DB.Queue().Jobs(t.Context(), "", 10); err != nil || len(jobs) != 0 {
		t.Errorf("jobs %v, %v", jobs, err)
	}
	if got := in.away.Receipts(); len(got) != 0 {
		t.Errorf("receipts %v", got)
	}
}

// A job that ends without a word of the origin does not say that the origin answers, else
// an outage would be forgotten in the middle of it (AM-8.24).
func TestEndsWithoutAnAnswer(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	carol := in.Account("carol@b.example", 0)
	do := func(what string, kind queue.Kind, want error) {
		t.Helper()
		jobs, err := in.DB.Queue().Jobs(t.Context(), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(jobs, func(j queue.Job) bool { return j.Kind == kind })
		if i < 0 {
			t.Fatalf("%s: the jobs are %+v", what, jobs)
		}
		if err := in.Handlers()[kind](t.Context(), jobs[i]); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	down := func(op string) error { return vam.Errorf(vam.Unavailable, "nobody answers at %s", op) }
	gone := queue.Job{Kind: queue.Pull, Key: message.Key{Origin: "a.example", ID: vam.NewMessageID(in.Clock.Now())}.String()}
	if err := in.Reception.Pull(t.Context(), gone); !errors.Is(err, queue.ErrNotReached) {
		t.Errorf("what is not here: %v", err)
	}

	content := hosttest.Pattern(4*partSize, 1)
	first := in.recording(t, content)
	first.Seal()
	in.taken(t, in.offer(t, first, "bob@b.example"))
	do("a pull that brings everything", queue.Pull, nil)
	do("a look at the whole media", queue.Digest, queue.ErrNotReached)
	do("a receipt that is taken", queue.Receipt, nil)
	in.settled(t)

	in.away.Fail = down
	second := in.recording(t, content)
	second.Seal()
	in.taken(t, in.offer(t, second, "carol@b.example"))
	do("a pull of what is here", queue.Pull, queue.ErrNotReached)
	if st := in.state(t, carol, second); st != mailbox.Stored {
		t.Fatalf("carol has it %s", st)
	}
	in.Work(t.Context())
	in.Clock.Advance(15 * 24 * time.Hour)
	do("a receipt past its deadline", queue.Receipt, queue.ErrNotReached)
	in.settled(t)

	if err := in.Reception.Poke(t.Context(), first.Key); err != nil {
		t.Fatal(err)
	}
	in.Clock.Advance(8 * 24 * time.Hour)
	do("news that cannot be had for a week", queue.Pull, queue.ErrNotReached)
	in.away.Fail = nil
	do("that there is no news", queue.Pull, nil)
	in.settled(t)

	in.away.Fail = down
	third := in.recording(t, hosttest.Pattern(4*partSize, 3))
	third.Seal()
	in.taken(t, in.offer(t, third, "bob@b.example"))
	in.Clock.Advance(8 * 24 * time.Hour)
	do("what cannot be had for a week", queue.Pull, queue.ErrNotReached)
	if st := in.state(t, in.bob, third); st != mailbox.Failed {
		t.Errorf("bob has it %s", st)
	}
	in.settled(t)

	in.away.Fail = nil
	first.Revoke()
	if err := in.Reception.Poke(t.Context(), first.Key); err != nil {
		t.Fatal(err)
	}
	do("that it is taken back", queue.Pull, nil)
	in.away.Fail = down
	do("what is taken back already", queue.Pull, queue.ErrNotReached)
}
