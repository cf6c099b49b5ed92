package reception_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/mailbox"
)

const partSize = 1000

func wantKind(t *testing.T, err error, kind vam.ErrorKind, problem string) {
	t.Helper()
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != kind || problem != "" && e.Problem != problem {
		t.Fatalf("got %v, want %s %s", err, kind, problem)
	}
}

// inbox is the server of b.example, to which a.example writes.
type inbox struct {
	*hosttest.Host
	away   *hosttest.Away
	zone   *mailauthtest.Zone
	signer *mailauth.Signer
	bob    account.Account
}

func newInbox(t *testing.T, o hosttest.Options) *inbox {
	t.Helper()
	in := &inbox{away: new(hosttest.Away), zone: new(mailauthtest.Zone)}
	o.Zone, o.Peers = in.zone, in.away
	if o.Chunk == 0 {
		o.Chunk = 4 * partSize
	}
	in.Host = hosttest.New(t, o)
	in.signer = mailauthtest.Signer(t, o.Zone, "a.example")
	in.bob = in.Account("bob@b.example", 0)
	return in
}

// recording is a message of a.example in parts, that can be pulled.
func (in *inbox) recording(t *testing.T, content []byte) *hosttest.Recording {
	t.Helper()
	in.Clock.Advance(time.Millisecond)
	r := hosttest.NewRecording(t, "a.example", in.Clock.Now())
	r.AddFile(content, partSize)
	in.away.Add(r)
	return r
}

// offer makes an offer of all that a recording has.
func (in *inbox) offer(t *testing.T, r *hosttest.Recording, to ...string) *activmail.Offer {
	t.Helper()
	var rcpts []vam.Address
	for _, a := range to {
		rcpts = append(rcpts, hosttest.Address(t, a))
	}
	in.Clock.Advance(time.Millisecond)
	return r.Offer(in.signer, in.Clock.Now(), r.Size(), rcpts...)
}

// put makes an offer known as it would come over the network.
func (in *inbox) put(t *testing.T, o *activmail.Offer) (activmail.OfferAnswer, bool, error) {
	t.Helper()
	body, err := o.Marshal(in.Messages.Limits())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := activmail.ParseOffer(body, in.Messages.Limits())
	if err != nil {
		t.Fatal(err)
	}
	return in.Reception.Offer(t.Context(), parsed, body)
}

// taken puts an offer that must be answered, and returns "address state code" for each.
func (in *inbox) taken(t *testing.T, o *activmail.Offer) map[string]string {
	t.Helper()
	a, _, err := in.put(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Marshal(); err != nil {
		t.Fatalf("the answer cannot be sent: %v", err)
	}
	return words(a)
}

func words(a activmail.OfferAnswer) map[string]string {
	out := map[string]string{}
	for addr, r := range a.Recipients {
		out[addr.String()] = string(r.State)
		if r.Code != "" {
			out[addr.String()] += " " + r.Code
		}
	}
	return out
}

// state is what somebody's mailbox says of a message.
func (in *inbox) state(t *testing.T, acct account.Account, r *hosttest.Recording) mailbox.State {
	t.Helper()
	e, err := in.DB.Mailboxes().Entry(t.Context(), acct.ID, r.Key.Origin, r.Key.ID)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return e.State
}

func (in *inbox) wantMedia(t *testing.T, r *hosttest.Recording) {
	t.Helper()
	want := r.Media()
	media, err := in.Messages.OpenMedia(t.Context(), r.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	if end := media.Available(0); end != int64(len(want)) {
		t.Fatalf("%d octets can be read, want %d", end, len(want))
	}
	rd := media.Reader(t.Context(), 0, int64(len(want)))
	defer rd.Close()
	if got, err := io.ReadAll(rd); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the media is another one: %v", err)
	}
}
