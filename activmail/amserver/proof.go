package amserver

import (
	"errors"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// proof answers GET /m/{mid}/proof (AM-7.14).
func (h *handler) proof(w http.ResponseWriter, r *http.Request) error {
	p, err := pull(r)
	if err != nil {
		return err
	}
	req, err := proofQuery(r)
	if err != nil {
		return err
	}
	result, err := h.Outbound.Proof(r.Context(), p, req)
	if pos := (*activmail.PositionError)(nil); errors.As(err, &pos) {
		return vam.Wrap(vam.Conflict, err, "the log has %d lines now", pos.Size).WithProblem("log-position")
	}
	if err != nil {
		return err
	}
	writeDocument(w, r, http.StatusOK, activmail.HeadType, result.Marshal())
	return nil
}

func proofQuery(r *http.Request) (ProofRequest, error) {
	q := r.URL.Query()
	req := ProofRequest{Inclusion: q.Has("leaf")}
	var ok1, ok2 bool
	req.Size, ok1 = count(q.Get("size"))
	if req.Inclusion {
		req.Leaf, ok2 = count(q.Get("leaf"))
		ok2 = ok2 && !q.Has("from") && req.Leaf < req.Size
	} else {
		req.From, ok2 = count(q.Get("from"))
		ok2 = ok2 && 0 < req.From && req.From <= req.Size
	}
	if !ok1 || !ok2 {
		return req, vam.Errorf(vam.Invalid, "a proof is asked for with leaf and size, 0 <= leaf < size, or with from and size, 0 < from <= size").
			WithProblem("malformed")
	}
	return req, nil
}
