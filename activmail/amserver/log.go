package amserver

import (
	"net/http"
	"strconv"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// getLog answers GET /m/{mid}/log?from=N (AM-7.4).
func (h *handler) getLog(w http.ResponseWriter, r *http.Request) error {
	p, err := pull(r)
	if err != nil {
		return err
	}
	from := int64(0)
	if q := r.URL.Query(); q.Has("from") {
		var ok bool
		if from, ok = count(q.Get("from")); !ok {
			return vam.Errorf(vam.Invalid, "from is not the index of a log line").WithProblem("malformed")
		}
	}
	wait, log := preferredWait(r), Log{}
	err = h.waiting(p.Token, wait, func() (err error) {
		log, err = h.Outbound.Log(r.Context(), p, from, wait)
		return err
	})
	if err != nil {
		return err
	}
	if log.Lines == nil {
		return nothingYet(w, log.Ended || from > log.Size, log.Size)
	}
	defer log.Lines.Close()
	end := activmail.AppendLogEnd(nil, log.Checkpoint)
	w.Header().Set("Content-Type", activmail.LogType)
	if log.Octets >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(log.Octets+int64(len(end)), 10))
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	out := newBodyWriter(w, nil)
	defer out.close()
	if err := h.send(out, log.Lines); err != nil {
		return err
	}
	return out.write(end)
}

// nothingYet answers that there is no line at the asked index: yet, or ever.
func nothingYet(w http.ResponseWriter, ever bool, size int64) error {
	if ever {
		return vam.Wrap(vam.Conflict, &activmail.PositionError{Size: size}, "the log has %d lines", size).
			WithProblem("log-position")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
