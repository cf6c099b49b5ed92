package amtest

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

func answerKeyID(in input) (Fields, error) {
	domain, err := activmail.RequestKeyDomain(in.Text("keyid"))
	var out Fields
	out.Add("domain", string(domain))
	return out, err
}

func answerKeyRecord(in input) (Fields, error) {
	key, err := activmail.ParseRequestKey(in.Text("txt"))
	var out Fields
	out.Add("key", activmail.FormatMessageKey(key))
	return out, err
}

func answerContentDigest(in input) (Fields, error) {
	d, err := activmail.ContentDigest(headerOf(in))
	if err != nil {
		return nil, err
	}
	body := activmail.DigestOf([]byte(in.Text("body")))
	if d != body {
		return nil, vam.Errorf(vam.Unauthenticated, "the body has the digest %s", body).WithProblem("signature-invalid")
	}
	var out Fields
	out.Add("sha256", d.Sum.String())
	return out, nil
}

// serverRequest is the request of a case as a server sees it.
func serverRequest(in input) *http.Request {
	target := in.Text("target")
	u, err := url.ParseRequestURI(target)
	if err != nil {
		u = &url.URL{Path: target}
	}
	return (&http.Request{
		Method: in.Text("method"), URL: u, RequestURI: target, Host: in.Text("authority"), Header: headerOf(in),
	}).WithContext(context.Background())
}

func answerVerifyRequest(in input) (Fields, error) {
	now, err := in.integer("now")
	if err != nil {
		return nil, err
	}
	var body activmail.Digest
	if all := in.All("body"); len(all) > 0 {
		body = activmail.DigestOf(all[0])
	}
	lookup := func(_ context.Context, keyid string) (ed25519.PublicKey, error) {
		for _, record := range in.All("dns") {
			if name, txt, _ := strings.Cut(string(record), " "); name == keyid {
				return activmail.ParseRequestKey(txt)
			}
		}
		return nil, vam.Errorf(vam.Unauthenticated, "there is no record %s", keyid).WithProblem("key-not-found")
	}
	v, err := activmail.VerifyRequest(serverRequest(in), body, lookup, time.Unix(now, 0))
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("domain", string(v.Domain))
	out.Add("keyid", v.KeyID)
	out.Add("nonce", v.Nonce)
	out.Add("created", v.Created.Unix())
	out.Add("expires", v.Expires.Unix())
	return out, nil
}

func answerSignRequest(in input) (Fields, error) {
	seed, err := activmail.ParseSum(in.Text("seed"))
	if err != nil {
		return nil, err
	}
	now, err := in.integer("created")
	if err != nil {
		return nil, err
	}
	req := serverRequest(in)
	req.RequestURI = "" // a client has the URL alone
	var body activmail.Digest
	if all := in.All("body"); len(all) > 0 {
		body = activmail.DigestOf(all[0])
	}
	key := activmail.RequestKey{ID: in.Text("keyid"), Private: ed25519.NewKeyFromSeed(seed[:])}
	if err := activmail.SignRequest(req, body, key, time.Unix(now, 0), in.Text("nonce")); err != nil {
		return nil, err
	}
	input := req.Header.Get("Signature-Input")
	base, err := activmail.SignatureBase(req, strings.TrimPrefix(input, "vam="))
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("base", base)
	out.Add("content-digest", req.Header.Get("Content-Digest"))
	out.Add("signature-input", input)
	out.Add("signature", req.Header.Get("Signature"))
	return out, nil
}

func answerAcceptSignature(in input) (Fields, error) {
	var out Fields
	out.Add("value", activmail.AcceptSignature(in.Text("method") != http.MethodGet))
	return out, nil
}

func answerSignatureBase(in input) (Fields, error) {
	base, err := activmail.SignatureBase(serverRequest(in), in.Text("input"))
	var out Fields
	out.Add("base", base)
	return out, err
}

// answerMessageSignature checks a signature of RFC 9421 outside the profile of VAM/1:
// input is the member of Signature-Input without its label.
func answerMessageSignature(in input) (Fields, error) {
	key, err := activmail.ParseMessageKey(in.Text("key"))
	if err != nil {
		return nil, err
	}
	base, err := activmail.SignatureBase(serverRequest(in), in.Text("input"))
	if err != nil {
		return nil, err
	}
	if sigs := in.All("signature"); len(sigs) != 1 || !ed25519.Verify(key, base, sigs[0]) {
		return nil, vam.Errorf(vam.Unauthenticated, "the signature does not verify").WithProblem("signature-invalid")
	}
	var out Fields
	out.Add("base", base)
	return out, nil
}
