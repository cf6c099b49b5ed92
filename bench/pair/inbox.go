package pair

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userwire"
)

// A change in a mailbox is seen within a 200th of the time that it took, so that
// looking costs a long transfer nothing; these are the bounds.
const (
	pollShare = 200
	pollLeast = 2 * time.Millisecond
	pollMost  = 100 * time.Millisecond
)

// poll calls f until it reports true, and returns when that was. A message that is
// not there yet, or nothing of it, is no error.
func poll(ctx context.Context, f func() (bool, error)) (time.Time, error) {
	start := time.Now()
	for {
		ok, err := f()
		var p *problem
		if errors.As(err, &p) && (p.status == http.StatusNotFound || p.status == http.StatusServiceUnavailable) {
			err = nil
		}
		if ok || err != nil {
			return time.Now(), err
		}
		select {
		case <-time.After(min(max(time.Since(start)/pollShare, pollLeast), pollMost)):
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}

// Stored waits until the message is whole and verified in the mailbox, and returns
// when it was.
func (u *User) Stored(ctx context.Context, m Ref) (time.Time, error) {
	return poll(ctx, func() (bool, error) {
		e, err := u.Entry(ctx, m)
		if err == nil && e.State != "stored" && e.State != "arriving" {
			err = fmt.Errorf("the message is %s: %s", e.State, e.Reason)
		}
		return e.State == "stored", err
	})
}

// Entry is what the mailbox says of a message.
func (u *User) Entry(ctx context.Context, m Ref) (e userwire.Entry, err error) {
	err = u.call(ctx, http.MethodGet, "/box/"+m.String(), nil, nil, 0, &e)
	return e, err
}

// FirstPart waits until the first part can be read, that is played, from the mailbox
// and returns when it could.
func (u *User) FirstPart(ctx context.Context, m Ref) (time.Time, error) {
	return poll(ctx, func() (bool, error) {
		res, err := u.open(ctx, http.MethodGet, "/box/"+m.String()+"/media", nil, nil, 0)
		if err != nil {
			return false, err
		}
		defer func() { _ = res.Body.Close() }()
		var first [1]byte
		_, err = io.ReadFull(res.Body, first[:])
		return err == nil, err
	})
}

// Check reads the message back and compares it with the hash of what was sent.
func (u *User) Check(ctx context.Context, m Ref, sum string) error {
	res, err := u.open(ctx, http.MethodGet, "/box/"+m.String()+"/media", nil, nil, 0)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, res.Body); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("what arrived has the hash %s, what was sent %s", got, sum)
	}
	return nil
}

// Delivered waits until every recipient of a sent message is stored, as the sender
// sees it.
func (u *User) Delivered(ctx context.Context, m Ref) (time.Time, error) {
	return poll(ctx, func() (bool, error) {
		var got userwire.Message
		if err := u.call(ctx, http.MethodGet, "/m/"+string(m.ID), nil, nil, 0, &got); err != nil {
			return false, err
		}
		for _, r := range got.Recipients {
			if r.State.Final() && r.State != vam.Stored {
				return false, fmt.Errorf("%s is %s: %s", r.Address, r.State, r.Text)
			}
			if r.State != vam.Stored {
				return false, nil
			}
		}
		return len(got.Recipients) > 0, nil
	})
}

// Link gives a link to the message, for an address that needs no account, and returns
// its URL.
func (u *User) Link(ctx context.Context, m Ref, address string) (string, error) {
	var l userwire.Link
	err := u.json(ctx, http.MethodPost, "/box/"+m.String()+"/links", userwire.LinkTerms{For: address}, &l)
	return l.URL, err
}

// Delete removes the message from the mailbox.
func (u *User) Delete(ctx context.Context, m Ref) error {
	return u.call(ctx, http.MethodDelete, "/box/"+m.String(), nil, nil, 0, nil)
}
