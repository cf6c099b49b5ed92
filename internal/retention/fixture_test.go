package retention_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/retention"
	"github.com/videoactivmail/vam/internal/submission"
)

const day = 24 * time.Hour

// house is a server with its sweeper.
type house struct {
	*testing.T
	*hosttest.Host
	sweeper *retention.Service
}

func newHouse(t *testing.T) *house {
	h := &house{T: t, Host: hosttest.New(t, hosttest.Options{Hold: true})}
	h.sweeper = h.newSweeper(h.Blobs)
	return h
}

func (h *house) newSweeper(blobs blob.Store) *retention.Service {
	return retention.New(retention.Options{
		Store: h.DB.Retention(), Blobs: blobs, Drafts: h.DB.Submissions(), Live: h.Submission, Holds: h.Reception,
		Offers: h.DB.Receptions(), Forget: h.Messages.Forget, Now: h.Clock.Now,
	})
}

func (h *house) ok(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// after lets time go by and sweeps.
func (h *house) after(d time.Duration) {
	h.Helper()
	h.Clock.Advance(d)
	h.ok(h.sweeper.Sweep(h.Context()))
}

// draft makes a draft with some media.
func (h *house) draft(from account.Account, d submission.Draft) message.Key {
	h.Helper()
	d.Kind = vam.File
	content := hosttest.Pattern(5000, byte(len(d.To)))
	id := vam.NewMessageID(h.Clock.Now())
	m, _, err := h.Submission.Put(h.Context(), from, id, d)
	h.ok(err)
	sum := activmail.Sum(sha256.Sum256(content))
	_, err = h.Submission.Upload(h.Context(), from, m.Key, message.Piece{Sum: sum, Length: int64(len(content))}, bytes.NewReader(content))
	h.ok(err)
	line, err := activmail.Record{Kind: activmail.RecordPart, Blob: sum, Length: vam.Bytes(len(content))}.MarshalLine()
	h.ok(err)
	_, err = h.Submission.Append(h.Context(), from, m.Key, 0, [][]byte{line})
	h.ok(err)
	return m.Key
}

// send sends a sealed message and lets it be delivered.
func (h *house) send(from account.Account, d submission.Draft) message.Key {
	h.Helper()
	k := h.draft(from, d)
	_, err := h.Submission.Seal(h.Context(), from, k, activmail.Sum{})
	h.ok(err)
	h.sendNow(from, k)
	return k
}

func (h *house) sendNow(from account.Account, k message.Key) {
	h.Helper()
	_, err := h.Submission.Send(h.Context(), from, k)
	h.ok(err)
	h.Work(h.Context())
}

// files are the media objects on the disk.
func (h *house) files() int {
	h.Helper()
	n := 0
	for _, err := range h.Blobs.List(h.Context()) {
		h.ok(err)
		n++
	}
	return n
}

func (h *house) wantFiles(what string, want int) {
	h.Helper()
	if n := h.files(); n != want {
		h.Errorf("%s there are %d media files, want %d", what, n, want)
	}
}

// readable reports whether the media of a message can be opened.
func (h *house) readable(k message.Key) error {
	media, err := h.Messages.OpenMedia(context.Background(), k)
	if err == nil {
		err = media.Close()
	}
	return err
}

func (h *house) wantKind(what string, err error, want vam.ErrorKind) {
	h.Helper()
	if err == nil || vam.KindOf(err) != want {
		h.Errorf("%s: %v, want kind %s", what, err, want)
	}
}
