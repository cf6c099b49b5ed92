package amclient_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// world is two peers and a client of a.test's server that signs as b.test.
type world struct {
	network *amtest.Network
	a, b    *amtest.Peer
	dialer  *amclient.Dialer
}

func newWorld(t *testing.T, options amtest.PeerOptions) *world {
	t.Helper()
	n, err := amtest.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{network: n, dialer: n.NewDialer()}
	t.Cleanup(func() { w.dialer.Close() })
	for domain, p := range map[vam.Domain]**amtest.Peer{"a.test": &w.a, "b.test": &w.b} {
		if *p, err = n.Start(domain, options); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*p).Close() })
	}
	return w
}

// client is a client of to that signs as from.
func (w *world) client(t *testing.T, from, to *amtest.Peer, mode amclient.Mode) *amclient.Client {
	t.Helper()
	c, err := amclient.New(w.dialer, amclient.Options{Endpoints: to.Endpoints(), Key: from.Key, Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// bothModes runs a test over each network.
func bothModes(t *testing.T, f func(t *testing.T, mode amclient.Mode)) {
	for _, mode := range []amclient.Mode{amclient.TCPOnly, amclient.UDPOnly} {
		t.Run(string(mode), func(t *testing.T) { f(t, mode) })
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func address(s string) vam.Address {
	a, err := vam.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// fileMessage is a sealed message at a.test and a token for b.test.
func (w *world) fileMessage(t *testing.T, content []byte) (*amtest.Message, amclient.Pull) {
	t.Helper()
	m, err := w.a.Origin.NewMessage(vam.File)
	if err == nil {
		err = m.AppendFile("video/mp4", content)
	}
	if err == nil {
		err = m.Seal()
	}
	if err != nil {
		t.Fatal(err)
	}
	return m, amclient.Pull{MessageID: m.ID, Token: m.Grant("b.test")}
}

func TestInbound(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		m, _ := w.fileMessage(t, randomBytes(3000))
		c := w.client(t, w.a, w.b, mode)
		offer := m.Offer(address("alice@a.test"), []vam.Address{address("bob@b.test")}, []byte("Subject: hi\r\n\r\n"))
		name := amclient.OfferName{Origin: "a.test", MessageID: m.ID, Offer: offer.ID}
		body, err := offer.Marshal(activmail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		want := activmail.OfferAnswer{Recipients: map[vam.Address]activmail.RecipientAnswer{
			address("bob@b.test"): {State: activmail.AnswerAccepted},
		}}
		for _, known := range []bool{false, true} {
			got, err := c.PutOffer(t.Context(), name, body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(amclient.OfferResult{Known: known, Answer: want}, got); diff != "" {
				t.Error(diff)
			}
		}
		offer.Size++
		other, err := offer.Marshal(activmail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.PutOffer(t.Context(), name, other)
		wantProblem(t, err, vam.Conflict, "offer-conflict")

		state, err := c.OfferState(t.Context(), name)
		if err != nil || !cmp.Equal(want, state) {
			t.Errorf("OfferState: %v, %v", state, err)
		}
		if err := c.Poke(t.Context(), "a.test", m.ID, offer.Checkpoint); err != nil || w.b.Inbox.Pokes() != 1 {
			t.Errorf("Poke: %v, %d pokes", err, w.b.Inbox.Pokes())
		}
		err = c.Poke(t.Context(), "a.test", vam.NewMessageID(time.Now()), offer.Checkpoint)
		wantProblem(t, err, vam.NotFound, "not-found")

		// A domain signs for itself only.
		forger := w.client(t, w.b, w.b, mode)
		_, err = forger.PutOffer(t.Context(), name, body)
		wantProblem(t, err, vam.Unauthenticated, "signature-invalid")
	})
}

func TestOutbound(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		content := randomBytes(3<<20 + 17)
		m, pull := w.fileMessage(t, content)
		c := w.client(t, w.b, w.a, mode)
		ctx := t.Context()

		head, err := c.Head(ctx, pull)
		if err != nil || head.Size != vam.Bytes(len(content)) || head.State != vam.Sealed || head.LogSize != 5 {
			t.Errorf("Head: %+v, %v", head, err)
		}
		v := activmail.NewValidator(activmail.DefaultLimits())
		readLog(t, c, pull, v, m)

		for _, r := range [][2]vam.Bytes{{0, 0}, {0, 1}, {5, 5000}, {1 << 20, 3 << 20}, {3 << 20, 3<<20 + 17}, {100, 4 << 20}} {
			media, err := c.Media(ctx, pull, r[0], r[1])
			if err != nil {
				t.Fatalf("Media %v: %v", r, err)
			}
			got, err := io.ReadAll(media)
			media.Close()
			end := min(int(r[1]), len(content))
			if end == 0 {
				end = len(content)
			}
			if err != nil || !bytes.Equal(got, content[r[0]:end]) {
				t.Errorf("Media %v: %d octets, %v", r, len(got), err)
			}
			if media.Size != vam.Bytes(len(content)) || media.To != vam.Bytes(end) || string(media.Network) != string(mode) || media.ETag == "" {
				t.Errorf("Media %v: %+v", r, media)
			}
		}
		_, err = c.Media(ctx, pull, vam.Bytes(len(content)), 0)
		wantProblem(t, err, vam.Conflict, "log-position")

		part := content[:1<<20]
		blob, err := c.Blob(ctx, pull, sha256.Sum256(part), vam.Bytes(len(part)))
		if err != nil || !bytes.Equal(blob, part) {
			t.Errorf("Blob: %d octets, %v", len(blob), err)
		}
		_, err = c.Blob(ctx, pull, sha256.Sum256(part), 5)
		wantProblem(t, err, vam.Corrupt, "digest-mismatch")
		_, err = c.Blob(ctx, pull, activmail.Sum{1}, 5)
		wantProblem(t, err, vam.NotFound, "not-found")

		entry, err := c.Entry(ctx, pull, 1, 0)
		if err != nil || !bytes.Equal(entry.Blob, content[1<<20:2<<20]) || entry.Record.Kind != activmail.RecordPart {
			t.Errorf("Entry: %+v, %v", entry.Record, err)
		}
		if entry, err = c.Entry(ctx, pull, 77, time.Second); err != nil || entry.Line != nil {
			t.Errorf("an entry that is not there: %+v, %v", entry, err)
		}
		proof, err := c.Inclusion(ctx, pull, 2, 5)
		if err == nil {
			err = activmail.VerifyInclusion(proof, 2, leafOf(t, c, pull, 2), v.Tree().Checkpoint())
		}
		if err != nil {
			t.Errorf("Inclusion: %v", err)
		}
		if _, err = c.Consistency(ctx, pull, 3, 5); err != nil {
			t.Errorf("Consistency: %v", err)
		}
		_, err = c.Consistency(ctx, pull, 3, 9)
		wantProblem(t, err, vam.Conflict, "log-position")

		_, err = c.Head(ctx, amclient.Pull{MessageID: pull.MessageID, Token: activmail.NewPullToken()})
		wantProblem(t, err, vam.Unauthenticated, "token-invalid")
	})
}

func readLog(t *testing.T, c *amclient.Client, pull amclient.Pull, v *activmail.Validator, m *amtest.Message) {
	t.Helper()
	log, err := c.Log(t.Context(), pull, v.Size(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for {
		line, err := log.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			_, err = v.Append(line)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cp, err := activmail.OpenCheckpoint(log.Checkpoint(), m.Origin, m.ID, m.Key.Public().(ed25519.PublicKey))
	if err == nil {
		err = cp.Check(v.Tree())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func leafOf(t *testing.T, c *amclient.Client, pull amclient.Pull, n int64) activmail.Hash {
	t.Helper()
	e, err := c.Entry(t.Context(), pull, n, 0)
	if err != nil {
		t.Fatal(err)
	}
	return activmail.LeafHash(e.Line)
}

func TestReceiptsAndTokens(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		m, _ := w.fileMessage(t, randomBytes(10))
		offer := m.Offer(address("alice@a.test"), []vam.Address{address("bob@b.test")}, nil)
		c := w.client(t, w.b, w.a, mode)
		r := activmail.Receipt{Recipient: address("bob@b.test"), Event: activmail.EventStored, At: time.Now().UTC().Truncate(time.Second)}
		for range 2 {
			if err := c.PutReceipt(t.Context(), m.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]activmail.Receipt{r}, m.Receipts()); diff != "" {
			t.Error(diff)
		}
		r.Recipient = address("eve@c.test")
		wantProblem(t, c.PutReceipt(t.Context(), m.ID, r), vam.Denied, "policy")

		grant, err := c.RenewToken(t.Context(), m.ID, offer.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Head(t.Context(), amclient.Pull{MessageID: m.ID, Token: grant.Token}); err != nil {
			t.Error(err)
		}
		_, err = c.RenewToken(t.Context(), m.ID, vam.NewMessageID(time.Now()))
		wantProblem(t, err, vam.Denied, "policy")
	})
}

// A follower posts entries ahead and has each as soon as it is made; a revoke ends it.
func TestFollow(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		m, err := w.a.Origin.NewMessage(vam.Video)
		if err != nil {
			t.Fatal(err)
		}
		pull := amclient.Pull{MessageID: m.ID, Token: m.Grant("b.test")}
		c := w.client(t, w.b, w.a, mode)
		const parts = 12
		entries := make([]chan amclient.Entry, parts)
		for i := range entries {
			entries[i] = make(chan amclient.Entry, 1)
		}
		post := func(i int) {
			go func() {
				e, err := c.Entry(t.Context(), pull, int64(i), 20*time.Second)
				if err != nil {
					t.Error(err)
				}
				entries[i] <- e
			}()
		}
		for i := range 4 {
			post(i)
		}
		for i := range parts {
			blob := randomBytes(5000)
			if _, err := m.Append(activmail.Record{Kind: activmail.RecordPart, ContentType: "video/mp4"}, blob); err != nil {
				t.Fatal(err)
			}
			if e := <-entries[i]; !bytes.Equal(e.Blob, blob) {
				t.Errorf("entry %d has %d octets", i, len(e.Blob))
			}
			if i+4 < parts {
				post(i + 4)
			}
		}
		media, err := c.Media(t.Context(), pull, 4000, 0)
		if err != nil {
			t.Fatal(err)
		}
		media.Close()
		if media.Size != -1 || media.To != parts*5000 {
			t.Errorf("growing media: %+v", media)
		}
		waiting := make(chan error, 1)
		go func() {
			_, err := c.Entry(t.Context(), pull, parts+1, 20*time.Second)
			waiting <- err
		}()
		if err := m.Revoke(); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, <-waiting, vam.Conflict, "log-position")
		_, err = c.Media(t.Context(), pull, 0, 0)
		wantProblem(t, err, vam.Gone, "revoked")
	})
}

func wantProblem(t *testing.T, err error, kind vam.ErrorKind, problem string) {
	t.Helper()
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Problem != problem {
		t.Errorf("got the error %v (%v), want %v with %q", err, vam.KindOf(err), kind, problem)
	}
}

// The octets that are counted are those of the body and little more, on both ends alike.
func TestWireCount(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		content := randomBytes(8 << 20)
		_, pull := w.fileMessage(t, content)
		c := w.client(t, w.b, w.a, mode)
		media, err := c.Media(t.Context(), pull, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, media); err != nil {
			t.Fatal(err)
		}
		media.Close()
		cs, ss := c.Stats(), w.a.Server.Stats()
		over := cs.Sent + cs.Received - int64(len(content))
		if over < 200 || over > int64(len(content))/200 {
			t.Errorf("%d octets over the media were counted (%+v)", over, cs)
		}
		if d := ss.Sent - cs.Received; d < -100 || d > 100 {
			t.Errorf("the server counted %d sent, the client %d received", ss.Sent, cs.Received)
		}
		t.Logf("over: %d; client %d/%d server %d/%d", over, cs.Sent, cs.Received, ss.Sent, ss.Received)
	})
}
