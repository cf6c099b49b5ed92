package activmail

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/videoactivmail/vam"
)

// The one profile of RFC 9421 that VAM/1 knows (AM-3.2, AM-3.3).
const (
	signatureLabel = "vam"
	signatureTag   = "vam1"
	// maxSignatureFields bounds the sum of the signature fields, in octets (AM-10.32).
	maxSignatureFields = 8192
)

// coveredComponents are what a signature covers, in order.
func coveredComponents(body bool) []string {
	all := []string{"@method", "@authority", "@path", "@query", "content-digest", "content-type"}
	if body {
		return all
	}
	return all[:4]
}

// Digest is the SHA-256 of a request body as it goes into Content-Digest (RFC 9530).
// Has is false for a request without body, which is signed without content fields.
type Digest struct {
	Sum Sum
	Has bool
}

// DigestOf hashes a body; nil is no body, which is not the same as an empty one.
func DigestOf(body []byte) Digest {
	if body == nil {
		return Digest{}
	}
	return Digest{Sum: Sum(sha256.Sum256(body)), Has: true}
}

// String is the value of Content-Digest.
func (d Digest) String() string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(d.Sum[:]) + ":"
}

// ContentDigest reads the Content-Digest of a request: one field with the one member
// sha-256 (AM-3.4); Digest{} when there is none. A server may verify the signature with
// what is announced, then read the body and compare. Errors: Unauthenticated
// (signature-invalid).
func ContentDigest(h http.Header) (Digest, error) {
	values := h.Values("Content-Digest")
	if len(values) == 0 {
		return Digest{}, nil
	}
	const why = "Content-Digest is not one field with the one member sha-256"
	if len(values) != 1 || len(values[0]) > 256 {
		return Digest{}, badSignature(why)
	}
	dict, err := httpsfv.UnmarshalDictionary(values)
	if err != nil || len(dict.Names()) != 1 {
		return Digest{}, badSignature(why)
	}
	member, _ := dict.Get("sha-256")
	item, _ := member.(httpsfv.Item)
	sum, _ := item.Value.([]byte)
	if len(sum) != len(Sum{}) {
		return Digest{}, badSignature(why)
	}
	d := Digest{Sum: Sum(sum), Has: true}
	if d.String() != strings.Trim(values[0], " \t") { // a parameter, or base64 in another spelling
		return Digest{}, badSignature(why)
	}
	return d, nil
}

// RequestKey is a key that signs requests, and its DNS name.
type RequestKey struct {
	ID      string // SEL._domainkey.{domain}; see RequestKeyName
	Private ed25519.PrivateKey
}

// SignRequest adds Content-Digest, Signature-Input and Signature to req (AM-3). The
// request must have its Method, URL, Host (if it differs from the URL's) and, with a
// body, Content-Type already, and must not change afterwards. A signature lives 5
// minutes from now. An empty nonce is minted. Errors: Invalid (AM-2.35).
func SignRequest(req *http.Request, body Digest, key RequestKey, now time.Time, nonce string) error {
	if nonce == "" {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		nonce = base64.RawURLEncoding.EncodeToString(b[:])
	}
	if len(key.Private) != ed25519.PrivateKeySize || !isNonce(nonce) {
		return malformed("a request cannot be signed by a key of %d octets or with the nonce %q", len(key.Private), nonce)
	}
	if !bodiless(req.Method) && !body.Has {
		return malformed("a %s is signed with the digest of its body, be it empty", req.Method)
	}
	if body.Has {
		req.Header.Set("Content-Digest", body.String())
	}
	params := httpsfv.NewParams()
	params.Add("created", now.Unix())
	params.Add("expires", now.Add(MaxSignatureLife).Unix())
	params.Add("keyid", key.ID)
	params.Add("nonce", nonce)
	params.Add("tag", signatureTag)
	input := httpsfv.InnerList{Params: params}
	for _, name := range coveredComponents(body.Has) {
		input.Items = append(input.Items, httpsfv.NewItem(name))
	}
	base, err := signatureBase(req, input)
	if err != nil {
		return vam.Wrap(vam.Invalid, err, "the request cannot be signed")
	}
	value, err := httpsfv.Marshal(input)
	if err != nil {
		return vam.Wrap(vam.Invalid, err, "the signature parameters cannot be written")
	}
	sig := ed25519.Sign(key.Private, base)
	req.Header.Set("Signature-Input", signatureLabel+"="+value)
	req.Header.Set("Signature", signatureLabel+"=:"+base64.StdEncoding.EncodeToString(sig)+":")
	return nil
}

// KeyLookup finds the public key under a DNS name whose shape was checked. Errors:
// Unauthenticated (key-not-found, signature-invalid), Denied and Busy where the caller
// wants no look-up for that domain, Unavailable.
type KeyLookup func(ctx context.Context, keyid string) (ed25519.PublicKey, error)

// VerifiedRequest is what a signature proves.
type VerifiedRequest struct {
	Domain  vam.Domain // who signed
	KeyID   string
	Nonce   string
	Created time.Time
	Expires time.Time
}

// VerifyRequest checks the signature of a server request, in the order of AM-3.11:
// form, times, key, signature, digest. body is the digest of what was read, or that of
// [ContentDigest] where the body is read and compared afterwards; that the authority is
// this server's and that Domain may do what it asks is the caller's to check. Errors:
// Unauthenticated (signature-invalid, key-not-found), and those of lookup (AM-15.3).
func VerifyRequest(req *http.Request, body Digest, lookup KeyLookup, now time.Time) (VerifiedRequest, error) {
	input, sig, err := signatureFields(req.Header)
	if err != nil {
		return VerifiedRequest{}, err
	}
	announced, err := ContentDigest(req.Header)
	if err != nil {
		return VerifiedRequest{}, err
	}
	signed, err := checkProfile(input, !bodiless(req.Method))
	if err != nil {
		return VerifiedRequest{}, err
	}
	if signed.Domain, err = RequestKeyDomain(signed.KeyID); err != nil {
		return VerifiedRequest{}, err
	}
	if now.Add(MaxSkew).Before(signed.Created) || now.Add(-MaxSkew).After(signed.Expires) {
		return VerifiedRequest{}, badSignature("the signature was made for another time: created %s, expires %s, and it is %s here; the clock of one of the two servers is wrong",
			signed.Created.Format(timeLayout), signed.Expires.Format(timeLayout), now.UTC().Format(timeLayout))
	}
	base, err := signatureBase(req, input)
	if err != nil {
		return VerifiedRequest{}, err
	}
	key, err := lookup(req.Context(), signed.KeyID)
	if err != nil {
		return VerifiedRequest{}, err
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, base, sig) {
		return VerifiedRequest{}, badSignature("the signature of %s does not verify", signed.KeyID)
	}
	if !sameBody(announced, body) {
		return VerifiedRequest{}, badSignature("the body is not the one that Content-Digest announces")
	}
	return signed, nil
}

// bodiless says which requests are signed without content fields.
func bodiless(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// sameBody: a request without Content-Digest may have no octet of body.
func sameBody(announced, body Digest) bool {
	empty := DigestOf([]byte{}).Sum
	if !announced.Has {
		announced.Sum = empty
	}
	if !body.Has {
		body.Sum = empty
	}
	return announced.Sum == body.Sum
}

// signatureFields finds the member under our label in both fields; other labels are a
// proxy's business (AM-3.12).
func signatureFields(h http.Header) (httpsfv.InnerList, []byte, error) {
	inputs, sigs := h.Values("Signature-Input"), h.Values("Signature")
	if len(inputs) == 0 || len(sigs) == 0 {
		return httpsfv.InnerList{}, nil, badSignature("the request is not signed: Signature-Input or Signature is missing")
	}
	total := 0
	for _, v := range slices.Concat(inputs, sigs) {
		total += len(v)
	}
	if total > maxSignatureFields {
		return httpsfv.InnerList{}, nil, badSignature("the signature fields are longer than %d octets", maxSignatureFields)
	}
	inputDict, err1 := httpsfv.UnmarshalDictionary(inputs)
	sigDict, err2 := httpsfv.UnmarshalDictionary(sigs)
	if err1 != nil || err2 != nil {
		return httpsfv.InnerList{}, nil, badSignature("Signature-Input or Signature is not a structured field (RFC 8941)")
	}
	member, _ := inputDict.Get(signatureLabel)
	input, ok := member.(httpsfv.InnerList)
	if !ok {
		return httpsfv.InnerList{}, nil, badSignature("Signature-Input has no member vam")
	}
	member, _ = sigDict.Get(signatureLabel)
	item, _ := member.(httpsfv.Item)
	sig, _ := item.Value.([]byte)
	if len(sig) != ed25519.SignatureSize {
		return httpsfv.InnerList{}, nil, badSignature("Signature has no member vam of 64 octets")
	}
	return input, sig, nil
}

// checkProfile accepts exactly what AM-3.2, AM-3.3 and AM-3.6 allow.
func checkProfile(input httpsfv.InnerList, body bool) (VerifiedRequest, error) {
	want := coveredComponents(body)
	if len(input.Items) != len(want) {
		return VerifiedRequest{}, badSignature("the signature must cover exactly %s", strings.Join(want, " "))
	}
	for i, item := range input.Items {
		if item.Value != want[i] || len(item.Params.Names()) != 0 {
			return VerifiedRequest{}, badSignature("the signature must cover exactly %s", strings.Join(want, " "))
		}
	}
	if !slices.Equal(input.Params.Names(), []string{"created", "expires", "keyid", "nonce", "tag"}) {
		return VerifiedRequest{}, badSignature("the signature parameters must be created, expires, keyid, nonce and tag")
	}
	created, ok1 := param[int64](input, "created")
	expires, ok2 := param[int64](input, "expires")
	keyid, ok3 := param[string](input, "keyid")
	nonce, ok4 := param[string](input, "nonce")
	tag, ok5 := param[string](input, "tag")
	const latest = 1e12 // posix of AM-3.2: at most 12 digits
	switch life := expires - created; {
	case !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || created < 0 || created >= latest:
		return VerifiedRequest{}, badSignature("a signature parameter has the wrong type")
	case tag != signatureTag:
		return VerifiedRequest{}, badSignature("the tag of the signature is %s, not %s", quoteShort([]byte(tag)), signatureTag)
	case !isNonce(nonce):
		return VerifiedRequest{}, badSignature("the nonce is not of 16 to 64 characters of base64url")
	case life <= 0 || life > int64(MaxSignatureLife/time.Second):
		return VerifiedRequest{}, badSignature("the signature lives %d seconds; 1 to %d are allowed", life, int64(MaxSignatureLife/time.Second))
	}
	return VerifiedRequest{
		KeyID: keyid, Nonce: nonce,
		Created: time.Unix(created, 0).UTC(), Expires: time.Unix(expires, 0).UTC(),
	}, nil
}

func param[T any](input httpsfv.InnerList, name string) (T, bool) {
	v, _ := input.Params.Get(name)
	t, ok := v.(T)
	return t, ok
}

func isNonce(s string) bool {
	return len(s) >= 16 && len(s) <= 64 && strings.Trim(s, alphanumeric+"-_") == ""
}

// SignatureBase is what a signature with the given parameters covers: input is a member
// of Signature-Input without its label, such as ("@method" "date");created=1618884473.
// It serves checks against other implementations; requests of VAM/1 are signed and
// verified by SignRequest and VerifyRequest. Errors: Unauthenticated
// (signature-invalid).
func SignatureBase(req *http.Request, input string) ([]byte, error) {
	dict, err := httpsfv.UnmarshalDictionary([]string{signatureLabel + "=" + input})
	if err != nil {
		return nil, badSignature("the signature parameters are not a structured field (RFC 8941)")
	}
	member, _ := dict.Get(signatureLabel)
	list, ok := member.(httpsfv.InnerList)
	if !ok || len(dict.Names()) != 1 {
		return nil, badSignature("the signature parameters are not one inner list")
	}
	return signatureBase(req, list)
}

// signatureBase builds what is signed (AM-3.5, RFC 9421 section 2.5): one line for each covered
// component and one for the parameters. Components with parameters are not known.
func signatureBase(req *http.Request, input httpsfv.InnerList) ([]byte, error) {
	var b bytes.Buffer
	for _, item := range input.Items {
		name, ok := item.Value.(string)
		if !ok || len(item.Params.Names()) != 0 {
			return nil, badSignature("a covered component is not a plain name")
		}
		value, ok := component(req, name)
		if !ok {
			return nil, badSignature("the covered component %s is not in the request exactly once", quoteShort([]byte(name)))
		}
		b.WriteString(`"` + name + `": ` + value + "\n")
	}
	params, err := httpsfv.Marshal(input)
	if err != nil {
		return nil, badSignature("the signature parameters cannot be written again")
	}
	b.WriteString(`"@signature-params": ` + params)
	return b.Bytes(), nil
}

// component is the value of a derived component (RFC 9421 section 2.2) or of a field
// that stands in the request exactly once.
func component(req *http.Request, name string) (string, bool) {
	switch name {
	case "@method":
		return req.Method, req.Method != ""
	case "@authority":
		return authority(req)
	case "@path":
		path, _ := target(req)
		return path, strings.HasPrefix(path, "/")
	case "@query":
		_, query := target(req)
		return "?" + query, true
	}
	values := req.Header.Values(name)
	if strings.HasPrefix(name, "@") || len(values) != 1 || strings.ContainsAny(values[0], "\r\n") {
		return "", false
	}
	return strings.Trim(values[0], " \t"), true
}

// authority is the host in lower case, with the port unless it is that of https. In a
// server's request Host is :authority, over HTTP/2 and HTTP/3 alike.
func authority(req *http.Request) (string, bool) {
	host := req.Host
	if host == "" && req.URL != nil {
		host = req.URL.Host
	}
	host = strings.TrimSuffix(strings.ToLower(host), ":443")
	return host, host != "" && !strings.ContainsAny(host, "\r\n /")
}

// target is path and query as they are on the wire. A server has them in RequestURI; a
// client sends those of URL.
func target(req *http.Request) (path, query string) {
	if req.RequestURI != "" {
		path, query, _ = strings.Cut(req.RequestURI, "?")
		return path, query
	}
	if req.URL == nil || req.URL.Opaque != "" {
		return "", ""
	}
	if path = req.URL.EscapedPath(); path == "" {
		path = "/"
	}
	return path, req.URL.RawQuery
}

// AcceptSignature is the Accept-Signature header of a 401 (AM-3.13, RFC 9421 section 5).
func AcceptSignature(hasBody bool) string {
	return signatureLabel + `=("` + strings.Join(coveredComponents(hasBody), `" "`) + `");created;expires;tag="` + signatureTag + `"`
}
