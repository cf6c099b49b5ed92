package submission

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

const (
	// maxDeliver is how far deliver-by lies ahead at most (AM-6.26).
	maxDeliver = 30 * 24 * time.Hour
	// maxAhead is how long a message waits here at most before it is sent.
	maxAhead = 366 * 24 * time.Hour
	// maxSubject is the longest subject, in octets (AM-10.18).
	maxSubject = 998
)

// Put makes a draft, or replaces what was said of it as long as it is not sent. The
// author's program mints the id, so that a repetition makes no second message.
//
// Errors: Invalid, TooLarge, NotVAM, Denied (From is not the account's), OverQuota,
// Conflict (sent already, the id is somebody else's, or it has other media), NotFound
// (MediaOf is no message of the account) (AM-5.6, AM-13.3, AM-13.4).
func (s *Service) Put(ctx context.Context, acct account.Account, id vam.MessageID, d Draft) (message.Message, bool, error) {
	if err := s.check(ctx, acct, &d); err != nil {
		return message.Message{}, false, err
	}
	k := message.Key{Origin: d.From.Domain, ID: id}
	forwards, err := s.forwards(ctx, acct, d.MediaOf)
	if err != nil {
		return message.Message{}, false, err
	}
	if err := s.fits(ctx, acct, k, d); err != nil {
		return message.Message{}, false, err
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return message.Message{}, false, err
	}
	m, created, err := s.store.SaveDraft(ctx, acct.ID, message.Message{
		Key: k, State: vam.Draft, Kind: d.Kind, Author: d.From, Subject: d.Subject, Text: d.Text,
		PublicKey: pub, Announced: d.Size, Created: s.o.Now(), Expires: d.Expires,
		Head: message.Head{State: vam.Draft}, Forwards: forwards,
	}, priv, d)
	if err != nil {
		return m, created, err
	}
	s.o.Messages.Forget(k)
	m, err = s.carry(ctx, m, d)
	return m, created, err
}

// carry gives a draft the media that it takes from another message, once.
func (s *Service) carry(ctx context.Context, m message.Message, d Draft) (message.Message, error) {
	if d.MediaOf == (message.Key{}) || m.Head.Lines > 0 {
		return m, nil
	}
	return s.o.Messages.CopyMedia(ctx, m.Key, d.MediaOf)
}

// forwards is the chain of a message that carries the media of source again; none when
// source is the zero key. Only who holds a message may forward it.
func (s *Service) forwards(ctx context.Context, acct account.Account, source message.Key) ([]activmail.MessageRef, error) {
	if source == (message.Key{}) {
		return nil, nil
	}
	e, err := s.o.Mailbox.Entry(ctx, acct.ID, source.Origin, source.ID)
	if err != nil {
		return nil, err
	}
	if e.State != mailbox.Stored {
		return nil, vam.Errorf(vam.Conflict, "the message %s is %s; only one that has arrived can be sent again", source, e.State).WithProblem("not-complete")
	}
	m, err := s.o.Messages.Get(ctx, source)
	if err != nil {
		return nil, err
	}
	chain := append(slices.Clone(m.Forwards), activmail.MessageRef{Origin: source.Origin, MessageID: source.ID})
	if limit := s.o.Messages.Limits().Forwards; len(chain) > limit {
		return nil, vam.Errorf(vam.TooLarge, "this message was forwarded %d times already, and more are not taken anywhere (AM-6.29); save the file and send it as your own", limit).WithProblem("too-large")
	}
	return chain, nil
}

// check holds what is said of a message to the rules, and puts it into its one form.
func (s *Service) check(ctx context.Context, acct account.Account, d *Draft) error {
	if d.From.IsZero() {
		d.From = acct.Address
	}
	ok, err := s.o.Accounts.MayWriteAs(ctx, acct, d.From)
	if err != nil {
		return err
	}
	if !ok {
		return vam.Errorf(vam.Denied, "%s is not an address of yours; write as %s or as an alias of it", d.From, acct.Address).WithProblem("from-denied")
	}
	if _, err := vam.ParseKind(string(d.Kind)); err != nil {
		return err
	}
	if n := len(d.To) + len(d.Bcc); n == 0 || n > s.o.MaxRcpts {
		return vam.Errorf(vam.Invalid, "a message has 1 to %d recipients (this server's limit), not %d; split the list", s.o.MaxRcpts, n)
	}
	d.To, d.Bcc = unique(d.To, d.Bcc)
	if err := checkWords(d); err != nil {
		return err
	}
	return checkTimes(*d, s.o.Now())
}

func checkWords(d *Draft) error {
	if len(d.Text) > MaxText {
		return vam.Errorf(vam.TooLarge, "the text has %d octets; at most %d fit (this server's limit)", len(d.Text), MaxText).WithProblem("too-large")
	}
	if !utf8.ValidString(d.Text) {
		return vam.Errorf(vam.Invalid, "the text is not UTF-8")
	}
	if len(d.Subject) > maxSubject || !utf8.ValidString(d.Subject) || strings.ContainsFunc(d.Subject, unicode.IsControl) {
		return vam.Errorf(vam.Invalid, "the subject is one line of UTF-8 of at most %d octets", maxSubject)
	}
	d.Name = CleanName(d.Name)
	// What the seal cannot say is better known before the upload than after it.
	if _, err := (activmail.Record{Kind: activmail.RecordSeal, SHA256: sha256.Sum256(nil), Name: d.Name, ContentType: d.Type}).MarshalLine(); err != nil {
		return vam.Wrap(vam.Invalid, err, "%q is not a media type such as video/mp4", d.Type)
	}
	return nil
}

func checkTimes(d Draft, now time.Time) error {
	start := now
	if d.NotBefore.After(now) {
		start = d.NotBefore
	}
	switch {
	case start.Sub(now) > maxAhead:
		return vam.Errorf(vam.Invalid, "not-before lies more than a year ahead")
	case !d.DeliverBy.IsZero() && !d.DeliverBy.After(start):
		return vam.Errorf(vam.Invalid, "deliver-by is over already, or before the message may be shown")
	case !d.DeliverBy.IsZero() && d.DeliverBy.Sub(start) > maxDeliver:
		return vam.Errorf(vam.Invalid, "deliver-by lies more than 30 days ahead (AM-6.26)")
	case !d.Expires.IsZero() && !d.Expires.After(start):
		return vam.Errorf(vam.Invalid, "the message would have expired before it can be shown")
	}
	return nil
}

// fits refuses a draft that cannot be kept, and one that cannot become what it says (AM-13.16).
func (s *Service) fits(ctx context.Context, acct account.Account, k message.Key, d Draft) error {
	size := d.Size
	if limit := s.o.Messages.Limits().Message; size > limit {
		return vam.Errorf(vam.TooLarge, "the file has %s; a message may have %s (this server's limit)", size, limit).WithProblem("too-large")
	}
	begun, here, err := s.before(ctx, acct, k, d)
	if err != nil {
		return err
	}
	if d.MediaOf == (message.Key{}) {
		err = s.disk(ctx, size-here)
	} else {
		var src message.Message
		src, err = s.o.Messages.Get(ctx, d.MediaOf)
		size = vam.Bytes(src.Head.MediaBytes)
	}
	if err != nil {
		return err
	}
	if err := s.quota(ctx, acct, charged(begun), size); err != nil {
		return err
	}
	if !begun.SentAt.IsZero() {
		return nil // a repeated request
	}
	return s.reach(ctx, d, size)
}

// reachFor is how long an author waits for what can be known of the recipients' domains,
// reachAtOnce how many of them are asked about at the same time.
const (
	reachFor    = 3 * time.Second
	reachAtOnce = 8
)

// reach refuses a message for a domain that is known not to take it. What cannot be found
// out now is for the delivery to find.
func (s *Service) reach(ctx context.Context, d Draft, size vam.Bytes) error {
	if s.o.Reach == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reachFor)
	defer cancel()
	asked := map[vam.Domain]bool{}
	var g errgroup.Group
	g.SetLimit(reachAtOnce)
	for _, a := range slices.Concat(d.To, d.Bcc) {
		if asked[a.Domain] || s.o.Accounts.Hosts(a.Domain) {
			continue
		}
		asked[a.Domain] = true
		g.Go(func() error {
			err := s.o.Reach(ctx, a.Domain, size)
			if k := vam.KindOf(err); err == nil || k != vam.NotVAM && k != vam.TooLarge {
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

// before looks at the message that is there, and how much of it is here; nothing of one
// without a row.
func (s *Service) before(ctx context.Context, acct account.Account, k message.Key, d Draft) (m message.Message, here vam.Bytes, err error) {
	old, said, err := s.Find(ctx, acct, k.ID)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return m, 0, nil // new, or somebody else's: the store knows
	}
	if err != nil {
		return m, 0, err
	}
	if old != k {
		return m, 0, vam.Errorf(vam.Conflict, "the message %s was begun at %s and cannot move to %s; mint a fresh id", k.ID, old.Origin, k.Origin).WithProblem("id-taken")
	}
	if m, err = s.o.Messages.Get(ctx, k); err != nil {
		return m, 0, err
	}
	if m.Head.Lines > 0 && said.MediaOf != d.MediaOf {
		return m, 0, vam.Errorf(vam.Conflict, "the message %s has its media already; mint a fresh id", k.ID).WithProblem("sealed")
	}
	here, err = s.o.Messages.Staged(ctx, k)
	return m, here, err
}

// unique drops repeated addresses; one that is in To as well as in Bcc stays in To.
func unique(to, bcc []vam.Address) (outTo, outBcc []vam.Address) {
	seen := map[string]bool{}
	keep := func(in []vam.Address) (out []vam.Address) {
		for _, a := range in {
			if !seen[a.Key()] {
				seen[a.Key()] = true
				out = append(out, a)
			}
		}
		return out
	}
	return keep(to), keep(bcc)
}
