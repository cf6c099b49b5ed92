package harness

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// User is an account with a device.
type User struct {
	Addr vam.Address

	s     *Server
	id    int64
	token activmail.Token

	mu      sync.Mutex
	clients map[time.Duration]*userclient.Client // by their patience
}

// Server is where the user's mailbox is.
func (u *User) Server() *Server { return u.s }

// Token is the user's device token.
func (u *User) Token() activmail.Token { return u.token }

// Client is a way to the user's server that goes on over restarts for as long as
// patience; it is closed at the end of the test, and the same for each call.
func (u *User) Client(patience time.Duration) *userclient.Client {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.clients == nil {
		u.clients = map[time.Duration]*userclient.Client{}
	}
	c := u.clients[patience]
	if c == nil {
		c = u.ClientAt(u.s.Addr.String(), u.s.w.Roots(), patience)
		u.clients[patience] = c
	}
	return c
}

// ClientAt is Client by way of another address, such as that of a proxy.
func (u *User) ClientAt(addr string, roots *x509.CertPool, patience time.Duration) *userclient.Client {
	c := userclient.New(userclient.Options{
		Address: addr, ServerName: u.s.Domain.String(), Token: u.token, Roots: roots, Patience: patience,
	})
	u.s.w.closing(c)
	return c
}

// Knows makes others contacts of the user, whose messages are not held.
func (u *User) Knows(others ...*User) {
	u.s.w.T.Helper()
	c := u.Client(Patience)
	for _, o := range others {
		u.s.w.must(c.SetContact(u.s.w.T.Context(), o.Addr, "known"))
	}
}

// DraftTo is a draft of a file for some addresses.
func DraftTo(to ...vam.Address) userwire.Draft {
	d := userwire.Draft{Subject: "a file", Name: "file.bin", Type: "application/octet-stream"}
	for _, a := range to {
		d.To = append(d.To, a.String())
	}
	return d
}

// Send uploads content and sends it; it is accepted when Send returns.
func (u *User) Send(d userwire.Draft, content []byte) userwire.Message {
	u.s.w.T.Helper()
	m, err := u.send(Patience, d, content)
	u.s.w.must(err)
	return m
}

// TrySend is Send that returns why the message was not accepted. Nothing is repeated.
func (u *User) TrySend(d userwire.Draft, content []byte) (userwire.Message, error) {
	return u.send(0, d, content)
}

func (u *User) send(patience time.Duration, d userwire.Draft, content []byte) (userwire.Message, error) {
	up := userclient.Upload{Client: u.Client(patience), ID: vam.NewMessageID(time.Now()), Draft: d}
	return up.Send(u.s.w.T.Context(), bytes.NewReader(content), int64(len(content)))
}

// SendTo sends content to others.
func (u *User) SendTo(content []byte, to ...*User) userwire.Message {
	u.s.w.T.Helper()
	var addrs []vam.Address
	for _, o := range to {
		addrs = append(addrs, o.Addr)
	}
	return u.Send(DraftTo(addrs...), content)
}

// Message is a sent message as its author sees it.
func (u *User) Message(id vam.MessageID) userwire.Message {
	u.s.w.T.Helper()
	m, err := u.Client(Patience).Message(u.s.w.T.Context(), id)
	u.s.w.must(err)
	return m
}

// AwaitRecipient waits until a recipient of a sent message is in one of the states, as
// its author sees it.
func (u *User) AwaitRecipient(id vam.MessageID, to vam.Address, states ...vam.RecipientState) userwire.Recipient {
	u.s.w.T.Helper()
	c := u.Client(Patience)
	var last userwire.Recipient
	defer func() {
		if u.s.w.T.Failed() {
			u.s.w.T.Logf("%s was last %s: %s %s (%d attempts, next %v)", to, last.State, last.Code, last.Text, last.Attempts, last.Next)
		}
	}()
	return Await(u.s.w.T, to.String()+" becomes "+joinStates(states), func(ctx context.Context) (userwire.Recipient, error) {
		m, err := c.Message(ctx, id)
		if err != nil {
			return last, err
		}
		for _, r := range m.Recipients {
			if r.Address == to {
				last = r
			}
		}
		if slices.Contains(states, last.State) {
			return last, nil
		}
		return last, ErrPending
	})
}

func joinStates(states []vam.RecipientState) string {
	var b bytes.Buffer
	for i, s := range states {
		if i > 0 {
			b.WriteString(" or ")
		}
		b.WriteString(string(s))
	}
	return b.String()
}

// Inbox lists the inbox, newest first.
func (u *User) Inbox() []userwire.Entry {
	u.s.w.T.Helper()
	return u.folder("inbox")
}

func (u *User) folder(name string) (all []userwire.Entry) {
	u.s.w.T.Helper()
	c := u.Client(Patience)
	for before := ""; ; {
		page, err := c.Entries(u.s.w.T.Context(), userclient.List{Folder: name, Before: before, Limit: 200})
		u.s.w.must(err)
		all = append(all, page.Entries...)
		if before = page.Next; before == "" {
			return all
		}
	}
}

// AwaitEntry waits until the entry of a message satisfies ok.
func (u *User) AwaitEntry(what string, origin vam.Domain, id vam.MessageID, ok func(userwire.Entry) bool) userwire.Entry {
	u.s.w.T.Helper()
	c := u.Client(Patience)
	return Await(u.s.w.T, what, func(ctx context.Context) (userwire.Entry, error) {
		e, err := c.Entry(ctx, origin, id)
		if err != nil && vam.KindOf(err) == vam.NotFound || err == nil && !ok(e) {
			return e, ErrPending
		}
		return e, err
	})
}

// InState is a condition for AwaitEntry.
func InState(state string) func(userwire.Entry) bool {
	return func(e userwire.Entry) bool { return e.State == state }
}

// InStates is InState for several.
func InStates(states ...string) func(userwire.Entry) bool {
	return func(e userwire.Entry) bool { return slices.Contains(states, e.State) }
}

// AwaitStored waits until the user's server has all of a message.
func (u *User) AwaitStored(origin vam.Domain, id vam.MessageID) userwire.Entry {
	u.s.w.T.Helper()
	return u.AwaitEntry("the message is stored at "+u.Addr.String(), origin, id, InState("stored"))
}

// Download reads the file of a message from an offset on, as long as it comes.
func (u *User) Download(origin vam.Domain, id vam.MessageID, from int64) ([]byte, error) {
	body, _, err := u.Client(Patience).Media(u.s.w.T.Context(), origin, id, from)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// Holds fails the test unless the user has exactly content under the message, and it
// once.
func (u *User) Holds(origin vam.Domain, id vam.MessageID, content []byte) {
	u.s.w.T.Helper()
	u.AwaitStored(origin, id)
	got, err := u.Download(origin, id, 0)
	u.s.w.must(err)
	if !bytes.Equal(got, content) {
		u.s.w.T.Errorf("%s has %d octets with SHA-256 %.16s of %s; %d with %.16s were sent", u.Addr, len(got), Sum(got), id, len(content), Sum(content))
	}
	n := 0
	for _, e := range u.Inbox() {
		if e.Origin == origin && e.ID == id {
			n++
		}
	}
	if n != 1 {
		u.s.w.T.Errorf("%s has %d entries of %s; one is right", u.Addr, n, id)
	}
}

// Command is a vam command of the user, with their profile.
func (u *User) Command(args ...string) *exec.Cmd {
	u.s.w.T.Helper()
	type acct struct {
		Address    vam.Address `json:"address"`
		Server     string      `json:"server"`
		ServerName string      `json:"server_name"`
		CAFile     string      `json:"ca_file"`
		Token      string      `json:"token"`
	}
	profile := filepath.Join(u.s.w.dir, u.Addr.String()+".json")
	b, err := json.Marshal(map[string][]acct{"accounts": {{u.Addr, u.s.Addr.String(), u.s.Domain.String(), u.s.w.caFile(), string(u.token)}}})
	u.s.w.must(err)
	u.s.w.must(os.WriteFile(profile, b, 0o600))
	cmd := exec.Command(u.s.w.program.Path(u.s.w.T), args...)
	cmd.Env = append(u.s.environ(), "VAM_PROFILE="+profile)
	dieWithUs(cmd)
	return cmd
}

// Run runs a vam command of the user to its end.
func (u *User) Run(args ...string) Result {
	u.s.w.T.Helper()
	cmd := u.Command(args...)
	return u.s.w.run(cmd, cmd.Env)
}
