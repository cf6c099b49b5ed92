// Package account owns the people of a server: their addresses, aliases, devices
// and contacts.
package account

import (
	"context"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Account is one person's or role's mailbox.
type Account struct {
	ID      int64
	Address vam.Address
	Name    string    // display name for From, may be empty
	Quota   vam.Bytes // 0 is no limit
	Used    vam.Bytes // bytes charged to the mailbox, kept by the store
	Created time.Time
}

// Room is how many bytes the account may still hold; ok is false when there is no
// limit.
func (a Account) Room() (room vam.Bytes, ok bool) {
	if a.Quota == 0 {
		return 0, false
	}
	return max(0, a.Quota-a.Used), true
}

// Device is one credential of an account. Only the SHA-256 of its token is kept.
type Device struct {
	ID       int64
	Account  int64
	Label    string
	Created  time.Time
	LastUsed time.Time // zero when it was never used; a day's resolution is enough
}

// Standing is what an account has decided about a correspondent.
type Standing string

// Unknown correspondents are held for a first contact, Known ones are accepted,
// Blocked ones are refused.
const (
	Unknown Standing = ""
	Known   Standing = "known"
	Blocked Standing = "blocked"
)

// Contact is one correspondent of an account.
type Contact struct {
	Address  vam.Address
	Standing Standing
	Since    time.Time
}

// Store keeps accounts. Every write is durable when it returns. Addresses are
// compared by vam.Address.Key. Ids are never used twice.
type Store interface {
	// CreateAccount returns the account as it is stored, with its ID and nothing used.
	// Conflict when the address is already an account or an alias.
	CreateAccount(ctx context.Context, a Account) (Account, error)
	// AccountByAddress finds an account by its own address or an alias. NotFound.
	AccountByAddress(ctx context.Context, a vam.Address) (Account, error)
	// AccountByID returns NotFound for an unknown id.
	AccountByID(ctx context.Context, id int64) (Account, error)
	// Accounts lists accounts in order of address.
	Accounts(ctx context.Context) ([]Account, error)
	// OldestAccount is the first of those that a domain has. NotFound.
	OldestAccount(ctx context.Context, d vam.Domain) (Account, error)
	// SetQuota changes the limit; a limit below the use stops new mail only. NotFound.
	SetQuota(ctx context.Context, id int64, quota vam.Bytes) error
	// DeleteAccount removes the account, its aliases, devices, contacts and mailbox
	// entries; messages without another holder are left to retention. NotFound.
	DeleteAccount(ctx context.Context, id int64) error

	// AddAlias is Conflict as in CreateAccount, NotFound for an unknown account.
	AddAlias(ctx context.Context, alias vam.Address, account int64) error
	RemoveAlias(ctx context.Context, alias vam.Address) error // NotFound
	// Aliases lists in order of address.
	Aliases(ctx context.Context, account int64) ([]vam.Address, error)

	// AddDevice returns the device as it is stored, with its ID. NotFound for an
	// unknown account, Conflict for a token that is there.
	AddDevice(ctx context.Context, d Device, tokenHash activmail.Sum) (Device, error)
	// DeviceByToken returns the device and its account. NotFound.
	DeviceByToken(ctx context.Context, tokenHash activmail.Sum) (Device, Account, error)
	// TouchDevice sets LastUsed. NotFound.
	TouchDevice(ctx context.Context, id int64, at time.Time) error
	RemoveDevice(ctx context.Context, account, id int64) error // NotFound
	// Devices lists the oldest first.
	Devices(ctx context.Context, account int64) ([]Device, error)

	// Standing returns Unknown when nothing was decided.
	Standing(ctx context.Context, account int64, peer vam.Address) (Standing, error)
	// SetStanding records a decision; the same one again keeps its Since, Unknown takes
	// it back. NotFound for an unknown account.
	SetStanding(ctx context.Context, account int64, peer vam.Address, s Standing, at time.Time) error
	// Contacts lists in order of address whom a decision was made on.
	Contacts(ctx context.Context, account int64) ([]Contact, error)
	// KnowsDomain reports whether any account has a Known contact at d.
	KnowsDomain(ctx context.Context, d vam.Domain) (bool, error)
}

// Service is safe for concurrent use.
type Service struct {
	store   Store
	domains map[vam.Domain]bool
	role    vam.Address
	quota   vam.Bytes
	now     func() time.Time
}

// Options of New.
type Options struct {
	Domains []vam.Domain     // the domains that this server hosts
	Role    vam.Address      // receives postmaster@ and abuse@ of every domain unless they are accounts or aliases; the oldest account of the domain when it is zero or is not there
	Quota   vam.Bytes        // of a new account; 0 is no limit
	Now     func() time.Time // nil is time.Now
}

// New returns a Service over store.
func New(store Store, o Options) *Service {
	s := &Service{store: store, domains: map[vam.Domain]bool{}, role: o.Role, quota: o.Quota, now: o.Now}
	if s.now == nil {
		s.now = time.Now
	}
	for _, d := range o.Domains {
		s.domains[d] = true
	}
	return s
}

// Hosts reports whether d is one of this server's domains.
func (s *Service) Hosts(d vam.Domain) bool { return s.domains[d] }

// Create adds an account. Invalid for a domain that is not hosted or an address
// with a plus tag, Conflict when it is taken.
func (s *Service) Create(ctx context.Context, address vam.Address, name string) (Account, error) {
	if err := s.checkOwn(address); err != nil {
		return Account{}, err
	}
	return s.store.CreateAccount(ctx, Account{Address: address, Name: name, Quota: s.quota, Created: s.now()})
}

// AddAlias makes mail for alias arrive at the account. Invalid, Conflict.
func (s *Service) AddAlias(ctx context.Context, alias vam.Address, account int64) error {
	if err := s.checkOwn(alias); err != nil {
		return err
	}
	return s.store.AddAlias(ctx, alias, account)
}

func (s *Service) checkOwn(a vam.Address) error {
	if !s.Hosts(a.Domain) {
		return vam.Errorf(vam.Invalid, "%s is not a domain of this server; add it to the configuration first", a.Domain)
	}
	if base, _ := a.SplitPlus(); base != a {
		return vam.Errorf(vam.Invalid, "%s has a plus tag; every account receives its plus addresses already", a)
	}
	return nil
}

// Resolve finds who receives mail for a: the account or alias, else the same
// without the plus tag (RFC 5233), else for postmaster (RFC 5321 section 4.5.1)
// and abuse (RFC 2142) the role account. NotFound with problem no-such-recipient.
func (s *Service) Resolve(ctx context.Context, a vam.Address) (Account, error) {
	if !s.Hosts(a.Domain) {
		return Account{}, vam.Errorf(vam.NotFound, "%s is not a domain of this server", a.Domain).WithProblem("not-our-domain")
	}
	acct, err := s.store.AccountByAddress(ctx, a)
	base, _ := a.SplitPlus()
	if base != a && err != nil && vam.KindOf(err) == vam.NotFound {
		acct, err = s.store.AccountByAddress(ctx, base)
	}
	if err == nil || vam.KindOf(err) != vam.NotFound {
		return acct, err
	}
	if isRole(base) {
		return s.roleAccount(ctx, a)
	}
	return Account{}, noSuchRecipient(a)
}

func isRole(a vam.Address) bool {
	switch strings.ToLower(a.Local) {
	case "postmaster", "abuse":
		return true
	}
	return false
}

// roleAccount never leaves a domain without a postmaster as long as it has anybody.
func (s *Service) roleAccount(ctx context.Context, a vam.Address) (Account, error) {
	if !s.role.IsZero() {
		acct, err := s.store.AccountByAddress(ctx, s.role)
		if err == nil || vam.KindOf(err) != vam.NotFound {
			return acct, err
		}
	}
	acct, err := s.store.OldestAccount(ctx, a.Domain)
	if err != nil && vam.KindOf(err) == vam.NotFound {
		err = noSuchRecipient(a)
	}
	return acct, err
}

func noSuchRecipient(a vam.Address) error {
	return vam.Errorf(vam.NotFound, "there is no mailbox %s here; check the spelling", a).WithProblem("no-such-recipient")
}

// MayWriteAs reports whether the account may put a into From: its own address, an
// alias of it, or a plus address of either.
func (s *Service) MayWriteAs(ctx context.Context, acct Account, a vam.Address) (bool, error) {
	base, _ := a.SplitPlus()
	owner, err := s.store.AccountByAddress(ctx, base)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return false, nil
	}
	return err == nil && owner.ID == acct.ID, err
}

// NewDevice mints a token for the account. The token is shown once; only its hash
// is kept.
func (s *Service) NewDevice(ctx context.Context, account int64, label string) (activmail.Token, Device, error) {
	token := activmail.NewDeviceToken()
	d, err := s.store.AddDevice(ctx, Device{Account: account, Label: label, Created: s.now()}, token.Hash())
	return token, d, err
}

// Authenticate finds the account of a device token. Unauthenticated when there is
// none. The look-up is by hash, so its time tells nothing about the token (AM-13.1, AM-14.3).
func (s *Service) Authenticate(ctx context.Context, secret string) (Account, error) {
	token, err := activmail.ParseDeviceToken(secret)
	if err != nil {
		return Account{}, errToken()
	}
	d, a, err := s.store.DeviceByToken(ctx, token.Hash())
	if err != nil {
		if vam.KindOf(err) == vam.NotFound {
			return Account{}, errToken()
		}
		return Account{}, err
	}
	if now := s.now(); now.Sub(d.LastUsed) > touchEvery {
		// A note for people. A full disk must not keep out who could make room on it.
		_ = s.store.TouchDevice(ctx, d.ID, now)
	}
	return a, nil
}

// touchEvery is the resolution of Device.LastUsed.
const touchEvery = 24 * time.Hour

func errToken() error {
	return vam.Errorf(vam.Unauthenticated, "the device token is missing or not valid; make one with: vam account token ADDRESS").WithProblem("token-invalid")
}

// Store gives the front doors the plain look-ups that need no rule.
func (s *Service) Store() Store { return s.store }
