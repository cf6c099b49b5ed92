package grant_test

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/submission"
)

const day = 24 * time.Hour

var (
	key      = bytes.Repeat([]byte{1}, 32)
	otherKey = bytes.Repeat([]byte{2}, 32)
)

// here is where people are who know what they do.
var here = netip.MustParseAddr("203.0.113.7")

// house is a server that gives links.
type house struct {
	testing.TB
	*hosttest.Host
	grants   *grant.Service
	ann      account.Account
	amy, zoe vam.Address
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{TB: t, Host: hosttest.New(t, hosttest.Options{})}
	h.grants = h.service(key)
	h.ann = h.Account("ann@b.example", 0)
	h.amy, h.zoe = hosttest.Address(t, "amy@away.example"), hosttest.Address(t, "zoe@away.example")
	return h
}

func (h *house) service(key []byte) *grant.Service {
	h.Helper()
	s, err := grant.New(h.DB.Grants(), grant.Options{Key: key, Messages: h.Messages, Entries: h.DB.Mailboxes(), Now: h.Clock.Now})
	h.ok(err)
	return s
}

func (h *house) ok(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) wantKind(what string, err error, want vam.ErrorKind) {
	h.Helper()
	if err == nil || vam.KindOf(err) != want {
		h.Errorf("%s: %v, want kind %s", what, err, want)
	}
}

// wantGone wants a sentence for the person who has the link.
func (h *house) wantGone(what string, err error, problem, words string) {
	h.Helper()
	e, ok := err.(*vam.Error)
	if !ok || e.Kind != vam.Gone || e.Problem != problem || e.Message != words {
		h.Errorf("%s: %#v, want gone (%s): %q", what, err, problem, words)
	}
}

// message is a sealed message of ann's that was sent to herself.
func (h *house) message() message.Key {
	h.Helper()
	content := hosttest.Pattern(1000, 1)
	id := vam.NewMessageID(h.Clock.Now())
	m, _, err := h.Submission.Put(h.Context(), h.ann, id, submission.Draft{To: []vam.Address{h.ann.Address}, Kind: vam.File})
	h.ok(err)
	sum := activmail.Sum(sha256.Sum256(content))
	_, err = h.Submission.Upload(h.Context(), h.ann, m.Key, message.Piece{Sum: sum, Length: int64(len(content))}, bytes.NewReader(content))
	h.ok(err)
	line, err := activmail.Record{Kind: activmail.RecordPart, Blob: sum, Length: vam.Bytes(len(content))}.MarshalLine()
	h.ok(err)
	_, err = h.Submission.Append(h.Context(), h.ann, m.Key, 0, [][]byte{line})
	h.ok(err)
	_, err = h.Submission.Seal(h.Context(), h.ann, m.Key, activmail.Sum{})
	h.ok(err)
	_, err = h.Submission.Send(h.Context(), h.ann, m.Key)
	h.ok(err)
	h.Work(h.Context())
	return m.Key
}

func (h *house) mint(k message.Key, rcpt vam.Address, t grant.Terms) grant.Link {
	h.Helper()
	l, err := h.grants.Mint(h.Context(), h.ann.ID, k, rcpt, t)
	h.ok(err)
	return l
}

func (h *house) open(token string) error {
	_, err := h.grants.Open(h.Context(), token)
	return err
}
