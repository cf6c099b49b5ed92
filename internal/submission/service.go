package submission

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
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
	Mailbox  mailbox.Store
	Letters  Letters
	Wake     func()                                       // tells the queue's runner that there is work; nil is allowed
	Horizon  time.Duration                                // of delivery when the draft names none; 4 days
	MaxRcpts int                                          // per message, 100
	MaxLive  time.Duration                                // of a recording that is sent while it is made; 0 is no limit
	Admit    func(acct account.Account) error             // the rate limit of one account's messages; nil admits all. Busy.
	Free     func(ctx context.Context) (vam.Bytes, error) // room on the disk; nil is unlimited
	// Reach says why no message of that size can go to a domain: NotVAM, TooLarge. Any other
	// error means that it is not known. nil asks nobody.
	Reach func(ctx context.Context, d vam.Domain, size vam.Bytes) error
	Now   func() time.Time
	Log   *slog.Logger
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

// own returns the draft of a message of the account. NotFound also for somebody
// else's: there is no oracle for ids (AM-13.2).
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

// Find returns the key of a message of the account by its id alone. NotFound.
func (s *Service) Find(ctx context.Context, acct account.Account, id vam.MessageID) (message.Key, Draft, error) {
	origins, err := s.origins(ctx, acct)
	if err != nil {
		return message.Key{}, Draft{}, err
	}
	for _, origin := range origins {
		k := message.Key{Origin: origin, ID: id}
		d, err := s.own(ctx, acct, k)
		if err == nil || vam.KindOf(err) != vam.NotFound {
			return k, d, err
		}
	}
	return message.Key{}, Draft{}, vam.Errorf(vam.NotFound, "you have no message %s", id)
}

// origins are the domains that the account may write from.
func (s *Service) origins(ctx context.Context, acct account.Account) ([]vam.Domain, error) {
	out := []vam.Domain{acct.Address.Domain}
	aliases, err := s.o.Accounts.Store().Aliases(ctx, acct.ID)
	for _, a := range aliases {
		if !slices.Contains(out, a.Domain) {
			out = append(out, a.Domain)
		}
	}
	return out, err
}

// charged is what the mailbox of its author is charged for a message of which the seal
// is still to come.
func charged(m message.Message) vam.Bytes {
	return max(m.Announced, vam.Bytes(m.Head.MediaBytes))
}

// quota refuses what the mailbox has no room for: a message that it is charged held for
// and is to be charged want for. The account is read anew, as requests may last for
// hours.
func (s *Service) quota(ctx context.Context, acct account.Account, held, want vam.Bytes) error {
	if want <= held {
		return nil
	}
	acct, err := s.o.Accounts.Store().AccountByID(ctx, acct.ID)
	if err != nil {
		return err
	}
	if room, limited := acct.Room(); limited && want-held > room {
		return vam.Errorf(vam.OverQuota, "your mailbox has %s of %s left (set by this server's administrator) and this needs %s; delete something or ask for more", room, acct.Quota, want-held).WithProblem("quota")
	}
	return nil
}

// disk refuses what this server has no room for.
func (s *Service) disk(ctx context.Context, more vam.Bytes) error {
	if s.o.Free == nil || more <= 0 {
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
