package amserver_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
)

// remoteGate is a gate that remembers where its requests came from.
type remoteGate struct {
	*gate
	mu   sync.Mutex
	seen map[string]int
}

func (g *remoteGate) Entry(ctx context.Context, p amserver.Pull, n int64, wait time.Duration) (amserver.Entry, error) {
	g.mu.Lock()
	g.seen[p.Remote.String()]++
	g.mu.Unlock()
	return g.gate.Entry(ctx, p, n, wait)
}

// connections is from how many addresses, which are as many connections, requests came.
func (g *remoteGate) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.seen)
}

// abandon makes a request, and gives it up when it is being answered.
func (g *remoteGate) abandon(t *testing.T, c *client, token activmail.Token) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := c.request(t, ask{method: "GET", path: messagePath(anyMessage, "/e/1"), token: token, header: prefer(25)}).WithContext(ctx)
	var asking sync.WaitGroup
	asking.Go(func() {
		for ctx.Err() == nil { // the connection may be closed under the request
			if resp, err := c.http.Do(req); err == nil {
				resp.Body.Close()
			}
		}
	})
	defer asking.Wait()
	<-g.began
	cancel()
	<-g.ended
}
