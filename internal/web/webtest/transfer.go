package webtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/message"
)

// Transfer is a message of another server that arrives as far as it is let.
type Transfer struct {
	*Door
	// Grant is alice's link to it.
	Grant grant.Link
	Key   message.Key

	away *hosttest.Away

	mu   sync.Mutex
	open bool
	gate chan struct{}
}

// NewTransfer begins one: media is served until so many octets went out, and more after
// More is called.
func NewTransfer(t testing.TB, content []byte, first int64) *Transfer {
	t.Helper()
	x := &Transfer{away: new(hosttest.Away), gate: make(chan struct{})}
	zone := new(mailauthtest.Zone)
	x.Door = New(t, Options{Host: hosttest.Options{Zone: zone, Peers: x.away, Lanes: 1, Chunk: vam.Bytes(max(4000, len(content)/100))}})
	x.away.Fail = func(op string) error {
		if op != "media" || x.away.MediaBytes() < first {
			return nil
		}
		<-x.gate
		return nil
	}
	rec := hosttest.NewRecording(t, "a.example", x.Clock.Now())
	rec.AddFile(content, max(1000, len(content)/500))
	rec.Seal()
	x.away.Add(rec)
	offer := rec.Offer(mailauthtest.Signer(t, zone, "a.example"), x.Clock.Now(), rec.Size(), x.Alice.Address)
	body, err := offer.Marshal(x.Messages.Limits())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := activmail.ParseOffer(body, x.Messages.Limits())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Reception.Offer(t.Context(), parsed, body); err != nil {
		t.Fatal(err)
	}
	x.Key = rec.Key
	x.Grant = x.Link(x.Key, grant.Terms{})
	done := make(chan struct{})
	go func() { defer close(done); x.Work(context.Background()) }()
	t.Cleanup(func() { x.More(); <-done })
	x.awaitBytes(t, first)
	return x
}

// awaitBytes returns when so much has arrived.
func (x *Transfer) awaitBytes(t testing.TB, n int64) {
	t.Helper()
	for {
		m, err := x.Messages.OpenMedia(t.Context(), x.Key)
		if err == nil {
			total := m.Total()
			_ = m.Close()
			if total >= n {
				return
			}
		}
		select {
		case <-t.Context().Done():
			t.Fatal("it does not arrive")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// More lets the rest come.
func (x *Transfer) More() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.open {
		x.open = true
		close(x.gate)
	}
}
