package amtest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

func answerOffer(in input) (Fields, error) {
	limits := activmail.DefaultLimits()
	o, err := activmail.ParseOffer([]byte(in.Text("body")), limits)
	if err != nil {
		return nil, err
	}
	_, cp, err := o.OpenLog(limits)
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("mid", string(o.MessageID))
	out.Add("origin", string(o.Origin))
	out.Add("offer", string(o.ID))
	out.Add("key", activmail.FormatMessageKey(o.Key))
	out.Add("kind", string(o.Kind))
	out.Add("state", string(o.State))
	out.Add("size", int64(o.Size))
	out.Add("duration-ns", nanoseconds(o.Duration))
	out.Add("from", o.Envelope.From.String())
	for _, to := range o.Envelope.To {
		out.Add("to", to.String())
	}
	out.Add("deliver-by", stamp(o.Envelope.DeliverBy))
	out.Add("not-before", stamp(o.Envelope.NotBefore))
	out.Add("auto", o.Envelope.Auto)
	if o.MailRef != nil {
		out.Add("mail-blob", o.MailRef.Blob.String())
		out.Add("mail-length", int64(o.MailRef.Length))
	} else {
		out.Add("mail", o.Mail)
	}
	for _, line := range o.Log {
		out.Add("line", line)
	}
	out.Add("checkpoint-size", cp.Size)
	out.Add("token-sha256", o.Token.Hash().String())
	out.Add("token-expires", stamp(o.TokenExpires))
	for _, f := range o.Forwards {
		out.Add("forward", f.String())
	}
	return out, nil
}

func answerAnswer(in input) (Fields, error) {
	a, err := activmail.ParseOfferAnswer([]byte(in.Text("body")), activmail.DefaultLimits())
	if err != nil {
		return nil, err
	}
	var lines []string
	for addr, r := range a.Recipients {
		lines = append(lines, strings.Join([]string{addr.String(), string(r.State), r.Code, r.Text}, "|"))
	}
	slices.Sort(lines)
	var out Fields
	for _, line := range lines {
		out.Add("recipient", line)
	}
	return out, nil
}

func answerReceipt(in input) (Fields, error) {
	r, err := activmail.ParseReceipt([]byte(in.Text("body")), activmail.DefaultLimits())
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("recipient", r.Recipient.String())
	out.Add("event", string(r.Event))
	out.Add("known", r.Event.Known())
	out.Add("at", stamp(r.At))
	out.Add("code", r.Code)
	out.Add("text", r.Text)
	return out, nil
}

func answerRecipientID(in input) (Fields, error) {
	addr, err := activmail.ParseAddress(in.Text("address"))
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("rid", activmail.RecipientID(vam.MessageID(in.Text("mid")), addr))
	return out, nil
}

func answerHead(in input) (Fields, error) {
	h, err := activmail.ParseHead([]byte(in.Text("body")), activmail.DefaultLimits())
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("mid", string(h.MessageID))
	out.Add("origin", string(h.Origin))
	out.Add("kind", string(h.Kind))
	out.Add("state", string(h.State))
	out.Add("log", h.LogSize)
	out.Add("size", int64(h.Size))
	out.Add("duration-ns", nanoseconds(h.Duration))
	out.Add("content-type", h.ContentType)
	for _, tr := range h.Tracks {
		out.Add("track", tr)
	}
	out.Add("at", stamp(h.Created))
	out.Add("expires", stamp(h.Expires))
	out.Add("checkpoint", h.Checkpoint)
	return out, nil
}

func answerToken(in input) (Fields, error) {
	t, err := activmail.ParsePullToken(in.Text("token"))
	var out Fields
	out.Add("sha256", activmail.TokenHash(t).String())
	return out, err
}

func answerTokenRequest(in input) (Fields, error) {
	r, err := activmail.ParseTokenRequest([]byte(in.Text("body")), activmail.DefaultLimits())
	var out Fields
	out.Add("offer", string(r.Offer))
	return out, err
}

func answerTokenGrant(in input) (Fields, error) {
	g, err := activmail.ParseTokenGrant([]byte(in.Text("body")), activmail.DefaultLimits())
	var out Fields
	out.Add("token", string(g.Token))
	out.Add("expires", stamp(g.Expires))
	return out, err
}

func answerPolicy(in input) (Fields, error) {
	p, err := activmail.ParsePolicy([]byte(in.Text("body")), activmail.DefaultLimits())
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("mode", string(p.Mode))
	for _, mx := range p.MX {
		out.Add("mx", mx)
	}
	out.Add("max-age", int64(p.MaxAge/time.Second))
	out.Add("offer-max", int64(p.Offer))
	out.Add("blob-max", int64(p.Blob))
	out.Add("size-max", int64(p.Message))
	out.Add("in", p.Takes(activmail.RoleIn))
	out.Add("out", p.Takes(activmail.RoleOut))
	for _, f := range p.Features {
		out.Add("feature", f)
	}
	out.Add("contact", p.Contact)
	out.Add("report", p.Report)
	return out, nil
}

func answerPolicyRecord(in input) (Fields, error) {
	r, err := activmail.ParsePolicyRecord(in.Text("txt"))
	var out Fields
	out.Add("id", r.ID)
	out.Add("mode", string(r.Mode))
	return out, err
}

func answerMessageHeader(in input) (Fields, error) {
	h, err := activmail.ParseMessageHeader(in.Text("value"))
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("id", string(h.ID))
	out.Add("origin", string(h.Origin))
	out.Add("key", activmail.FormatMessageKey(h.Key))
	out.Add("sealed", h.Sealed)
	if h.Sealed {
		out.Add("size", h.Checkpoint.Size)
		out.Add("root", hexOf(h.Checkpoint.Root))
		out.Add("bytes", int64(h.Bytes))
		out.Add("duration-ns", nanoseconds(h.Duration))
	}
	return out, nil
}

func answerBinding(in input) (Fields, error) {
	h, err := activmail.ParseMessageHeader(in.Text("value"))
	if err != nil {
		return nil, err
	}
	o, err := activmail.ParseOffer([]byte(in.Text("body")), activmail.DefaultLimits())
	if err != nil {
		return nil, err
	}
	return nil, h.Binds(o)
}

// answerProblem writes the problem of the registry with that name and shows its parts.
func answerProblem(in input) (Fields, error) {
	name := in.Text("name")
	if !slices.Contains(activmail.ProblemNames(), name) {
		return nil, vam.Errorf(vam.NotFound, "there is no problem %q", name)
	}
	p := activmail.ProblemFor(vam.Errorf(vam.Invalid, "some detail").WithProblem(name))
	var out Fields
	out.Add("type", activmail.ProblemBase+p.Name)
	out.Add("status", p.Status)
	out.Add("code", p.Code)
	out.Add("again", string(p.Again))
	return out, nil
}

func answerReadProblem(in input) (Fields, error) {
	status, err := in.integer("status")
	if err != nil {
		return nil, err
	}
	p := activmail.ParseProblem(int(status), headerOf(in), []byte(in.Text("body")))
	var e *vam.Error
	if !errors.As(p.Err(), &e) {
		return nil, p.Err()
	}
	var out Fields
	out.Add("name", p.Name)
	out.Add("detail", p.Detail)
	out.Add("code", p.Code)
	out.Add("retry-after", int64(p.RetryAfter/time.Second))
	if p.Size >= 0 {
		out.Add("size", p.Size)
	}
	out.Add("temporary", e.Kind.Temporary())
	return out, nil
}

// headerOf collects the inputs named header, each "Name: value".
func headerOf(in input) http.Header {
	h := make(http.Header)
	for _, line := range in.All("header") {
		name, value, _ := strings.Cut(string(line), ":")
		h.Add(name, strings.TrimPrefix(value, " "))
	}
	return h
}
