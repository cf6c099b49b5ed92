package web

import (
	"container/list"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/grant"
)

const (
	maxPlayed = 1 << 10 // octets of a report
	// maxServed is of how many links the handler remembers that media went to them.
	maxServed = 16 << 10
)

// played takes a player's report that it plays. It counts when media was served to the
// link before: what only looks at pages, whatever it posts, has seen nothing.
func (v *visit) played() error {
	if site := v.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return vam.Errorf(vam.Denied, "a play is told by the page of this server alone")
	}
	body, err := io.ReadAll(http.MaxBytesReader(v.w, v.Body, maxPlayed))
	if err != nil {
		return vam.Wrap(vam.Invalid, err, "the report cannot be read")
	}
	var p struct {
		Session string  `json:"session"`
		UpTo    float64 `json:"upTo"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return vam.Wrap(vam.Invalid, err, "the report is not the JSON that is wanted")
	}
	if !v.h.served.has(v.grant.ID) {
		return vam.Errorf(vam.Conflict, "no media was served to this link, so nothing was played")
	}
	if err := v.h.o.Grants.Viewed(v.Context(), v.grant.ID, grant.Play{Session: p.Session, UpTo: p.UpTo, At: v.h.o.Now()}); err != nil {
		return err
	}
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// served remembers to which links media went, the latest ones. After a restart a player
// that goes on fetches media again before long.
type served struct {
	mu    sync.Mutex
	byID  map[grant.ID]*list.Element
	order list.List // of grant.ID, the oldest first
}

func newServed() *served { return &served{byID: map[grant.ID]*list.Element{}} }

func (s *served) add(id grant.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil {
		s.order.MoveToBack(e)
		return
	}
	if len(s.byID) >= maxServed {
		delete(s.byID, s.order.Remove(s.order.Front()).(grant.ID))
	}
	s.byID[id] = s.order.PushBack(id)
}

func (s *served) has(id grant.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id] != nil
}
