package web

import (
	"errors"
	"net/http"
	"net/netip"

	"github.com/videoactivmail/vam"
)

// maxForm is how much of a password form is read, in octets.
const maxForm = 4 << 10

func (v *visit) home() error {
	f := v.frame()
	f.Heading, f.Title = f.mustT("home.title"), f.mustT("home.title")
	return v.render("home", http.StatusOK, f)
}

// askPassword shows the form; sentence is the key of what was wrong, "" for nothing.
func (v *visit) askPassword(status int, sentence string) error {
	f := v.frame()
	p := struct {
		*frame
		Sentence, Action string
	}{frame: f, Action: watchPath + v.at.token}
	f.Heading, f.Title = f.mustT("password.title"), f.mustT("password.title")
	f.Card = v.card(vam.Video)
	if sentence != "" {
		p.Sentence = f.mustT(sentence)
	}
	return v.render("password", status, p)
}

// unlock takes the password of a link and leads to the page with a pass in its path.
func (v *visit) unlock() error {
	v.Body = http.MaxBytesReader(v.w, v.Body, maxForm)
	if err := v.ParseForm(); err != nil {
		return vam.Wrap(vam.Invalid, err, "the form cannot be read")
	}
	from, _ := netip.ParseAddrPort(v.RemoteAddr) // not known is no reason to refuse
	pass, err := v.h.o.Grants.Unlock(v.Context(), v.at.token, v.PostForm.Get("password"), from.Addr())
	if err == nil {
		at := target{token: v.at.token, pass: pass}
		v.w.Header().Set("Location", at.base())
		v.w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	switch vam.KindOf(err) {
	case vam.Unauthenticated:
		return v.askPassword(http.StatusForbidden, "password.wrong")
	case vam.Busy:
		v.retryAfter(err)
		return v.askPassword(http.StatusTooManyRequests, "password.many")
	}
	return err
}

// problem is the page for an error.
func (v *visit) problem(err error) {
	title, sentence := v.explain(err)
	f := v.frame()
	p := struct {
		*frame
		Sentence, Again string
	}{frame: f, Sentence: f.mustT(sentence)}
	f.Heading, f.Title = f.mustT(title), f.mustT(title)
	kind := vam.KindOf(err)
	if kind.Temporary() && v.at.token != "" {
		p.Again = v.at.base()
	}
	if err := v.render("problem", status(kind), p); err != nil {
		v.h.o.Log.Error("a page could not be made", "err", err)
	}
}

// explain picks the words for an error: the keys of a title and of a sentence.
func (v *visit) explain(err error) (title, sentence string) {
	switch vam.KindOf(err) {
	case vam.Gone:
		return "gone.title", v.explainGone(err)
	case vam.NotFound:
		return "missing.title", "missing"
	case vam.Invalid, vam.TooLarge, vam.Conflict, vam.Denied, vam.Unauthenticated:
		return "invalid.title", "invalid"
	case vam.Busy, vam.Unavailable, vam.OverQuota:
		return "busy.title", "busy"
	}
	return "error.title", "error"
}

// explainGone tells a link that ended from a message that did.
func (v *visit) explainGone(err error) string {
	problem := ""
	var e *vam.Error
	if errors.As(err, &e) {
		problem = e.Problem
	}
	g := v.grant
	switch {
	case problem == "revoked" && !g.Revoked.IsZero():
		return "gone.link.revoked"
	case problem == "revoked":
		return "gone.revoked"
	case g.Expires.IsZero() || v.h.o.Now().Before(g.Expires):
		return "gone.expired"
	}
	return "gone.link.expired"
}
