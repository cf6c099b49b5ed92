package nativeout

import (
	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/delivery"
)

// MaxPeers is maxPeers.
const MaxPeers = maxPeers

// Len is how many peers are kept.
func (p *Peers) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.peers)
}

// Update is update.
func Update(a vam.Address, got activmail.RecipientAnswer) delivery.Update { return update(a, got) }
