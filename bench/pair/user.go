package pair

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/userwire"
)

// User is an account's program. It is safe for concurrent use.
type User struct {
	// Address is whose.
	Address string

	domain *Domain
	token  string
	http   *http.Transport
}

// uploads is how many parts an upload has under way.
const uploads = 4

func (d *Domain) newUser(address, token string) *User {
	var p http.Protocols
	p.SetHTTP2(true)
	return &User{Address: address, domain: d, token: token, http: &http.Transport{
		TLSClientConfig: d.tls.Clone(), Protocols: &p,
		// An upload over one HTTP/2 connection does not wait for small writes.
		WriteBufferSize: 256 << 10,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.place.dial(ctx, d.place.server)
		},
	}}
}

// problem is an answer that is not the one hoped for.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return fmt.Sprintf("%d: %s", p.status, p.text) }

// call makes one request; body may be nil, and so may out.
func (u *User) call(ctx context.Context, method, path string, header map[string]string, body io.Reader, length int64, out any) error {
	res, err := u.open(ctx, method, path, header, body, length)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// open makes one request and leaves the body of a good answer to the caller.
func (u *User) open(ctx context.Context, method, path string, header map[string]string, body io.Reader, length int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+u.domain.host+userwire.Base+path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = length
	req.Header.Set("Authorization", "Bearer "+u.token)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := u.http.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s %s: %w", method, path, &problem{res.StatusCode, string(text)})
	}
	return res, nil
}

func (u *User) json(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return u.call(ctx, method, path, map[string]string{"Content-Type": "application/json"}, bytes.NewReader(body), int64(len(body)), out)
}

// Prepare makes a message of size octets of r, uploads, and seals it: all but
// sending it.
func (u *User) Prepare(ctx context.Context, r io.ReaderAt, size int64, to ...string) (vam.MessageID, error) {
	id := vam.NewMessageID(time.Now())
	d := userwire.Draft{To: to, Subject: "a video", Kind: string(vam.Video), Name: "video.mp4", Type: "video/mp4", Size: size}
	if err := u.json(ctx, http.MethodPut, "/m/"+string(id), d, nil); err != nil {
		return id, err
	}
	lines, err := u.upload(ctx, id, r, size)
	if err != nil {
		return id, err
	}
	const batch = 8192 // lines of one append, well inside of its 4 MiB
	for from := 0; from < len(lines); from += batch {
		body := bytes.Join(lines[from:min(from+batch, len(lines))], []byte("\n"))
		body = append(body, '\n')
		header := map[string]string{"If-Match": strconv.Quote(strconv.Itoa(from))}
		if err := u.call(ctx, http.MethodPost, "/m/"+string(id)+"/log", header, bytes.NewReader(body), int64(len(body)), nil); err != nil {
			return id, err
		}
	}
	return id, u.json(ctx, http.MethodPost, "/m/"+string(id)+"/seal", userwire.Seal{}, nil)
}

// upload puts the parts in any order and returns their records in the right one.
func (u *User) upload(ctx context.Context, id vam.MessageID, r io.ReaderAt, size int64) ([][]byte, error) {
	const part = int64(activmail.FilePart)
	lines := make([][]byte, (size+part-1)/part)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for i := range lines {
		g.Go(func() error {
			at := int64(i) * part
			buf := make([]byte, min(part, size-at))
			if n, err := r.ReadAt(buf, at); n < len(buf) {
				return err
			}
			sum := sha256.Sum256(buf)
			var err error
			if lines[i], err = (activmail.Record{Kind: activmail.RecordPart, Blob: sum, Length: vam.Bytes(len(buf))}).MarshalLine(); err != nil {
				return err
			}
			path := fmt.Sprintf("/m/%s/b/%s?at=%d", id, hex.EncodeToString(sum[:]), at)
			return u.call(ctx, http.MethodPut, path, nil, bytes.NewReader(buf), int64(len(buf)), nil)
		})
	}
	return lines, g.Wait()
}

// Again makes a message that carries the media of another one of u's mailbox.
func (u *User) Again(ctx context.Context, of Ref, to ...string) (vam.MessageID, error) {
	id := vam.NewMessageID(time.Now())
	d := userwire.Draft{To: to, Subject: "a video again", Kind: string(vam.Video), Name: "video.mp4", MediaOf: of.String()}
	if err := u.json(ctx, http.MethodPut, "/m/"+string(id), d, nil); err != nil {
		return id, err
	}
	return id, u.json(ctx, http.MethodPost, "/m/"+string(id)+"/seal", userwire.Seal{}, nil)
}

// Send sends a prepared message and returns when it was accepted.
func (u *User) Send(ctx context.Context, id vam.MessageID) (Ref, time.Time, error) {
	err := u.call(ctx, http.MethodPost, "/m/"+string(id)+"/send", nil, nil, 0, nil)
	return Ref{u.domain.Name, id}, time.Now(), err
}

// SendWhole makes and sends a message in one request (AM-13.6), and returns when it
// was accepted.
func (u *User) SendWhole(ctx context.Context, content []byte, to string) (Ref, error) {
	id := vam.NewMessageID(time.Now())
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range [][2]string{{"to", to}, {"subject", "a video"}, {"kind", string(vam.Video)}} {
		if err := w.WriteField(f[0], f[1]); err != nil {
			return Ref{}, err
		}
	}
	file, err := w.CreateFormFile("file", "video.mp4")
	if err != nil {
		return Ref{}, err
	}
	if _, err := file.Write(content); err != nil {
		return Ref{}, err
	}
	if err := w.Close(); err != nil {
		return Ref{}, err
	}
	header := map[string]string{"Content-Type": w.FormDataContentType()}
	err = u.call(ctx, http.MethodPut, "/m/"+string(id), header, &body, int64(body.Len()), nil)
	return Ref{u.domain.Name, id}, err
}

// Ref names a message in a mailbox.
type Ref struct {
	Origin vam.Domain
	ID     vam.MessageID
}

// String is the form of paths: "origin/id".
func (r Ref) String() string { return string(r.Origin) + "/" + string(r.ID) }
