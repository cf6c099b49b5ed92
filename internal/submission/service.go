package submission

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// MaxText is the longest text of a message, in octets (AM-10).
const MaxText = 64 << 10

// Letters writes and signs the RFC 5322 mail of a message.
type Letters interface {
	Letter(ctx context.Context, m message.Message, d Draft, header activmail.MessageHeader) ([]byte, error)
}

// Options of New.
type Options struct {
	Messages *message.Service
	Accounts *account.Service
	Letters  Letters
	Wake     func()                                       // tells the queue's runner that there is work; nil is allowed
	Horizon  time.Duration                                // of delivery when the draft names none; 4 days
	MaxRcpts int                                          // per message, 100
	MaxLive  time.Duration                                // of a recording that is sent while it is made; 0 is no limit
	Admit    func(acct account.Account) error             // the rate limit of one account's messages; nil admits all. Busy.
	Free     func(ctx context.Context) (vam.Bytes, error) // room on the disk; nil is unlimited
	Now      func() time.Time
	Log      *slog.Logger
}

// Service is safe for concurrent use.
type Service struct {
	store Store
	o     Options
}

// New returns a Service over store.
func New(store Store, o Options) *Service {
	if o.Horizon == 0 {
		o.Horizon = 4 * 24 * time.Hour
	}
	if o.MaxRcpts == 0 {
		o.MaxRcpts = 100
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: store, o: o}
}

// Put makes a draft, or replaces what was said of it as long as it is not sent. The
// author's program mints the id, so that a repetition makes no second message.
//
// Errors: Invalid, TooLarge, Denied (From is not the account's), OverQuota,
// Conflict (sent already, or the id is somebody else's).
func (s *Service) Put(ctx context.Context, acct account.Account, id vam.MessageID, d Draft) (message.Message, bool, error) {
	if err := s.check(ctx, acct, &d); err != nil {
		return message.Message{}, false, err
	}
	k := message.Key{Origin: d.From.Domain, ID: id}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return message.Message{}, false, err
	}
	m, created, err := s.o.Messages.Create(ctx, message.Message{
		Key: k, State: vam.Draft, Kind: d.Kind, Author: d.From, Subject: d.Subject, Text: d.Text,
		PublicKey: pub, Announced: d.Size, Created: s.o.Now(), Expires: d.Expires,
		Head: message.Head{State: vam.Draft},
	}, priv)
	if err != nil {
		return m, false, err
	}
	if err := s.store.SaveDraft(ctx, acct.ID, k, d); err != nil {
		return m, created, err
	}
	s.o.Messages.Forget(k)
	if d.MediaOf != (message.Key{}) && m.Head.Lines == 0 {
		m, err = s.o.Messages.CopyMedia(ctx, k, d.MediaOf)
	}
	return m, created, err
}

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
	if len(d.Text) > MaxText || !utf8.ValidString(d.Text) {
		return vam.Errorf(vam.TooLarge, "the text has %d octets; at most %d of UTF-8 fit (this server's limit)", len(d.Text), MaxText)
	}
	if len(d.Subject) > 998 || !utf8.ValidString(d.Subject) || strings.ContainsFunc(d.Subject, unicode.IsControl) {
		return vam.Errorf(vam.Invalid, "the subject is one line of UTF-8 of at most 998 octets")
	}
	d.Name = CleanName(d.Name)
	if limit := s.o.Messages.Limits().Message; d.Size > limit {
		return vam.Errorf(vam.TooLarge, "the file has %s; a message may have %s (this server's limit)", d.Size, limit).WithProblem("too-large")
	}
	return s.room(ctx, acct, d.Size)
}

// room refuses what would not fit, before a byte is sent.
func (s *Service) room(ctx context.Context, acct account.Account, more vam.Bytes) error {
	if room, limited := acct.Room(); limited && more > room {
		return vam.Errorf(vam.OverQuota, "your mailbox has %s of %s left (set by this server's administrator) and this needs %s; delete something or ask for more", room, acct.Quota, more).WithProblem("quota")
	}
	if s.o.Free == nil {
		return nil
	}
	free, err := s.o.Free(ctx)
	if err != nil {
		return err
	}
	if more > free {
		return vam.Errorf(vam.OverQuota, "this server's disk has room for %s more; nothing was accepted, try again later", free).WithProblem("disk-full").WithRetry(5 * time.Minute)
	}
	return nil
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

// CleanName makes a file name safe to show and to save: its last element, without
// controls and separators, at most 255 octets.
func CleanName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "_"), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '/' || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, name)
	for len(name) > 255 {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	if name == "." || name == ".." {
		return ""
	}
	return name
}

// own returns the draft of a message of the account. NotFound also for somebody
// else's: there is no oracle for ids.
func (s *Service) own(ctx context.Context, acct account.Account, k message.Key) (Draft, error) {
	d, owner, err := s.store.Draft(ctx, k)
	if err == nil && owner == acct.ID {
		return d, nil
	}
	if err != nil && vam.KindOf(err) != vam.NotFound {
		return d, err
	}
	return d, vam.Errorf(vam.NotFound, "you have no message %s", k.ID)
}

// Find returns the key of a message of the account by its id alone.
func (s *Service) Find(ctx context.Context, acct account.Account, id vam.MessageID) (message.Key, Draft, error) {
	for _, origin := range s.origins(ctx, acct) {
		k := message.Key{Origin: origin, ID: id}
		d, err := s.own(ctx, acct, k)
		if err == nil || vam.KindOf(err) != vam.NotFound {
			return k, d, err
		}
	}
	return message.Key{}, Draft{}, vam.Errorf(vam.NotFound, "you have no message %s", id)
}

// origins are the domains that the account may write from.
func (s *Service) origins(ctx context.Context, acct account.Account) []vam.Domain {
	out := []vam.Domain{acct.Address.Domain}
	aliases, err := s.o.Accounts.Store().Aliases(ctx, acct.ID)
	if err != nil {
		s.o.Log.Warn("aliases cannot be read", "account", acct.Address, "err", err)
	}
	for _, a := range aliases {
		if a.Domain != out[0] {
			out = append(out, a.Domain)
		}
	}
	return out
}

// Upload receives one blob; see message.Service.Upload.
func (s *Service) Upload(ctx context.Context, acct account.Account, k message.Key, p message.Piece, body io.Reader) (bool, error) {
	if _, err := s.own(ctx, acct, k); err != nil {
		return false, err
	}
	if err := s.room(ctx, acct, vam.Bytes(p.Length)); err != nil {
		return false, err
	}
	return s.o.Messages.Upload(ctx, k, p, body)
}

// Missing returns those of pieces that are to be uploaded.
func (s *Service) Missing(ctx context.Context, acct account.Account, k message.Key, pieces []message.Piece) ([]message.Piece, error) {
	if _, err := s.own(ctx, acct, k); err != nil {
		return nil, err
	}
	return s.o.Messages.Missing(ctx, k, pieces)
}

// Append extends the log; see message.Service.Append. An author appends media,
// posters and texts; seal, expire and revoke are the server's to write.
func (s *Service) Append(ctx context.Context, acct account.Account, k message.Key, ifMatch int64, lines [][]byte) (message.Message, error) {
	if _, err := s.own(ctx, acct, k); err != nil {
		return message.Message{}, err
	}
	if m, err := s.o.Messages.Get(ctx, k); err != nil || s.tooLong(m) {
		if err == nil {
			err = vam.Errorf(vam.TooLarge, "a recording that is sent while it is made may last %s (this server's limit); seal it and go on in another message", s.o.MaxLive).WithProblem("too-large")
		}
		return m, err
	}
	for i, line := range lines {
		r, err := activmail.ParseRecord(line, s.o.Messages.Limits())
		if err != nil {
			return message.Message{}, err
		}
		switch r.Kind {
		case activmail.RecordSeal, activmail.RecordExpire, activmail.RecordRevoke:
			return message.Message{}, vam.Errorf(vam.Denied, "line %d is a %s record: use the request of that name, the server writes the record", i, r.Kind).WithProblem("record-denied")
		}
	}
	return s.o.Messages.Append(ctx, k, ifMatch, lines)
}

// tooLong reports whether a live message is over its time.
func (s *Service) tooLong(m message.Message) bool {
	return s.o.MaxLive > 0 && m.Head.State == vam.Live && !m.SentAt.IsZero() && s.o.Now().Sub(m.SentAt) > s.o.MaxLive
}

// Seal ends the log; see message.Service.Seal.
func (s *Service) Seal(ctx context.Context, acct account.Account, k message.Key, want activmail.Sum) (message.Message, error) {
	d, err := s.own(ctx, acct, k)
	if err != nil {
		return message.Message{}, err
	}
	return s.o.Messages.Seal(ctx, k, want, activmail.Record{ContentType: d.Type, Name: d.Name})
}

// Send takes responsibility for a message: when it returns, the mail, its
// recipients and the work for them are durable. A message that is not sealed goes
// out live. Sending twice is no error and changes nothing.
func (s *Service) Send(ctx context.Context, acct account.Account, k message.Key) (message.Message, error) {
	d, err := s.own(ctx, acct, k)
	if err != nil {
		return message.Message{}, err
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil || !m.SentAt.IsZero() {
		return m, err
	}
	if m.State == vam.Revoked {
		return m, vam.Errorf(vam.Gone, "you took this message back").WithProblem("revoked")
	}
	if s.o.Admit != nil {
		if err := s.o.Admit(acct); err != nil {
			return m, err
		}
	}
	header := activmail.MessageHeader{ID: k.ID, Origin: k.Origin, Key: m.PublicKey}
	if !m.Head.SealedAt.IsZero() {
		header.Sealed = true
		header.Checkpoint = activmail.Checkpoint{Size: m.Head.Lines, Root: m.Head.Root}
		header.Bytes, header.Duration = vam.Bytes(m.Head.MediaBytes), m.Head.Duration
	}
	mail, err := s.o.Letters.Letter(ctx, m, d, header)
	if err != nil {
		return m, err
	}
	now := s.o.Now()
	offers := s.offers(k, d, now)
	jobs := make([]queue.Job, len(offers))
	for i, o := range offers {
		jobs[i] = delivery.OfferJob(o, now)
	}
	if _, err := s.store.Send(ctx, Sending{Account: acct.ID, Key: k, Mail: mail, Offers: offers, Jobs: jobs, At: now}); err != nil {
		return m, err
	}
	s.o.Messages.Forget(k)
	s.o.Wake()
	s.o.Log.Info("message accepted", "message", k, "recipients", len(d.To)+len(d.Bcc), "bytes", m.Head.MediaBytes, "state", m.Head.State)
	return s.o.Messages.Get(ctx, k)
}

// offers groups the recipients: those in To by domain, at most 100 in one offer,
// and each Bcc alone, so that nobody learns of it.
func (s *Service) offers(k message.Key, d Draft, now time.Time) []delivery.Offer {
	deliverBy := d.DeliverBy
	if deliverBy.IsZero() {
		deliverBy = now.Add(s.o.Horizon)
		if d.NotBefore.After(now) {
			deliverBy = d.NotBefore.Add(s.o.Horizon)
		}
	}
	limit := s.o.Messages.Limits().Recipients
	var out []delivery.Offer
	open := map[vam.Domain]int{}
	add := func(a vam.Address, hidden bool) {
		i, ok := open[a.Domain]
		if hidden || !ok || len(out[i].Recipients) >= limit {
			i = len(out)
			out = append(out, delivery.Offer{ID: vam.NewMessageID(now), Key: k, Domain: a.Domain, DeliverBy: deliverBy, NotBefore: d.NotBefore})
			if !hidden {
				open[a.Domain] = i
			}
		}
		out[i].Recipients = append(out[i].Recipients, delivery.Recipient{
			Address: a, Hidden: hidden, Offer: out[i].ID, State: vam.Queued, NextAt: d.NotBefore, Changed: now,
		})
	}
	for _, a := range d.To {
		add(a, false)
	}
	for _, a := range d.Bcc {
		add(a, true)
	}
	return out
}

// SealOverdue seals recordings that were sent live, stopped growing and reached their
// deliver-by: what is there is the message, marked as cut (AM-4.21). It does at most
// limit and says how many.
func (s *Service) SealOverdue(ctx context.Context, limit int) (int, error) {
	keys, err := s.store.OverdueLive(ctx, s.o.Now(), limit)
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		d, _, err := s.store.Draft(ctx, k)
		if err != nil {
			return 0, err
		}
		if _, err := s.o.Messages.Seal(ctx, k, activmail.Sum{}, activmail.Record{ContentType: d.Type, Name: d.Name, Why: "cut"}); err != nil {
			return 0, err
		}
		s.o.Log.Info("recording sealed at its deliver-by", "message", k)
	}
	if len(keys) > 0 {
		s.o.Wake()
	}
	return len(keys), nil
}

// Revoke takes a message back: whoever does not have it yet never gets it, the
// others are told. The store queues the pokes in the commit of the revoke record.
func (s *Service) Revoke(ctx context.Context, acct account.Account, k message.Key) (message.Message, error) {
	if _, err := s.own(ctx, acct, k); err != nil {
		return message.Message{}, err
	}
	m, err := s.o.Messages.Revoke(ctx, k, "sender")
	s.o.Wake()
	return m, err
}

// Discard removes an unsent message. Conflict when it was sent: revoke it.
func (s *Service) Discard(ctx context.Context, acct account.Account, k message.Key) error {
	if _, err := s.own(ctx, acct, k); err != nil {
		return err
	}
	defer s.o.Messages.Forget(k)
	return s.store.DeleteDraft(ctx, k)
}
