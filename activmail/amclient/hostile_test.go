package amclient_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
)

// answering is an answer with a header and a body.
func answering(code int, body []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = w.Write(body)
	}
}

// with is the same with more header.
func with(h http.HandlerFunc, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		h(w, r)
	}
}

func gzipped(b []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(b)
	_ = z.Close()
	return buf.Bytes()
}

// A blob is the octets that its name and length say, or it is none (AM-7.24).
func TestHostileBlobs(t *testing.T) {
	blob := bytes.Repeat([]byte("blob"), 1000)
	sum := activmail.Sum(sha256.Sum256(blob))
	other := bytes.Repeat([]byte("bolb"), 1000)
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s, c := onStage(t, mode)
		for _, row := range []struct {
			name    string
			answer  http.HandlerFunc
			kind    vam.ErrorKind
			problem string
		}{
			{"other octets", answering(200, other), vam.Corrupt, "digest-mismatch"},
			{"longer", answering(200, append(blob[:4000:4000], 1)), vam.Corrupt, "digest-mismatch"},
			{"shorter", answering(200, blob[:3999]), vam.Corrupt, "digest-mismatch"},
			{"empty", answering(200, nil), vam.Corrupt, "digest-mismatch"},
			{"endless", endless(200), vam.Corrupt, "digest-mismatch"},
			{"announced longer than sent", answering(200, blob[:3999], "Content-Length", "4000"), vam.Unavailable, ""},
			{"huge announcement", answering(200, nil, "Content-Length", "9000000000000000000"), vam.Corrupt, "digest-mismatch"},
			{"coded", answering(200, gzipped(blob), "Content-Encoding", "gzip"), vam.Invalid, ""},
			{"a part of it", answering(206, blob[:10], "Content-Range", "bytes 0-9/4000"), vam.Invalid, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s.play(row.answer)
				got, err := c.Blob(t.Context(), somebody(), sum, vam.Bytes(len(blob)))
				wantProblem(t, err, row.kind, row.problem)
				if got != nil {
					t.Errorf("and %d octets came with the error", len(got))
				}
			})
		}
		s.play(answering(200, blob))
		if got, err := c.Blob(t.Context(), somebody(), sum, vam.Bytes(len(blob))); err != nil || !bytes.Equal(got, blob) {
			t.Errorf("the right one: %d octets, %v", len(got), err)
		}
		_, err := c.Blob(t.Context(), somebody(), sum, 65*vam.MiB)
		wantProblem(t, err, vam.TooLarge, "too-large")
	})
}

// A range is the range that was asked for, and as long as it says.
func TestHostileRanges(t *testing.T) {
	ten := []byte("0123456789")
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s, c := onStage(t, mode)
		for _, row := range []struct {
			name     string
			from, to vam.Bytes
			answer   http.HandlerFunc
			want     string // of the body, where the answer is taken
			kind     vam.ErrorKind
			problem  string
		}{
			{"as asked", 10, 20, answering(206, ten, "Content-Range", "bytes 10-19/100"), "0123456789", 0, ""},
			{"shorter, at the end", 10, 90, answering(206, ten, "Content-Range", "bytes 10-19/20"), "0123456789", 0, ""},
			{"the whole, of which a part was asked", 0, 4, answering(200, ten), "0123", 0, ""},
			{"the whole", 0, 0, answering(200, ten), "0123456789", 0, ""},
			{"the whole, at another place", 10, 20, answering(200, ten), "", vam.Invalid, ""},
			{"the whole, without its length", 0, 0, endless(200), "", vam.Invalid, ""},
			{"another start", 10, 20, answering(206, ten, "Content-Range", "bytes 9-18/100"), "", vam.Invalid, ""},
			{"another end", 10, 15, answering(206, ten, "Content-Range", "bytes 10-19/100"), "", vam.Invalid, ""},
			{"no range", 10, 20, answering(206, ten), "", vam.Invalid, ""},
			{"beyond itself", 10, 20, answering(206, ten, "Content-Range", "bytes 10-19/15"), "", vam.Invalid, ""},
			{"another length", 10, 20, answering(206, ten[:9], "Content-Range", "bytes 10-19/100"), "", vam.Invalid, ""},
			{"backwards", 10, 20, answering(206, ten, "Content-Range", "bytes 10-5/100"), "", vam.Invalid, ""},
			{"coded", 10, 20, answering(206, ten, "Content-Range", "bytes 10-19/100", "Content-Encoding", "gzip"), "", vam.Invalid, ""},
			{"the end", 10, 20, answering(416, nil, "Content-Range", "bytes */10"), "", vam.Conflict, "log-position"},
			{"the end, elsewhere", 10, 20, answering(416, nil, "Content-Range", "bytes */11"), "", vam.Invalid, ""},
			{"the end, below zero", 10, 20, answering(416, nil, "Content-Range", "bytes */-5"), "", vam.Invalid, ""},
			{"the end, untold", 10, 20, answering(416, nil), "", vam.Invalid, ""},
			{"endless", 10, 20, with(endless(206), "Content-Range", "bytes 10-19/100"), "", vam.Corrupt, "digest-mismatch"},
			{"cut short", 10, 20, answering(206, ten[:5], "Content-Range", "bytes 10-19/100", "Content-Length", "10"), "", vam.Unavailable, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s.play(row.answer)
				m, err := c.Media(t.Context(), somebody(), row.from, row.to)
				var got []byte
				if err == nil {
					got, err = io.ReadAll(m)
					m.Close()
				}
				if row.want != "" {
					if err != nil || string(got) != row.want || m.From != row.from || m.To != row.from+vam.Bytes(len(row.want)) {
						t.Errorf("%q of [%d, %d), %v", got, m.From, m.To, err)
					}
					return
				}
				wantProblem(t, err, row.kind, row.problem)
				if vam.Bytes(len(got)) > row.to-row.from {
					t.Errorf("%d octets were passed on", len(got))
				}
				var pos *activmail.PositionError
				if row.kind == vam.Conflict && (!errors.As(err, &pos) || pos.Size != 10) {
					t.Errorf("the position is %+v", pos)
				}
			})
		}
	})
}

func readAllLines(log *amclient.Log) (lines int, err error) {
	for {
		if _, err = log.Next(); err != nil {
			return lines, err
		}
		lines++
	}
}

// A log is lines and a checkpoint within their limits (AM-10.1, AM-10.2, AM-10.12).
func TestHostileLogs(t *testing.T) {
	logOf := func(body string) http.HandlerFunc {
		return answering(200, []byte(body), "Content-Type", activmail.LogType)
	}
	const line = `{"k":"part"}` + "\n"
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s, c := onStage(t, mode)
		for _, row := range []struct {
			name   string
			answer http.HandlerFunc
			lines  int
			kind   vam.ErrorKind
			cut    bool
		}{
			{"endless line", with(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "{")
				endless(200)(w, r)
			}, "Content-Type", activmail.LogType), 0, vam.TooLarge, false},
			{"long line", logOf(line + "{" + strings.Repeat(" ", 2048) + "}\n"), 1, vam.TooLarge, false},
			{"endless lines", with(func(w http.ResponseWriter, _ *http.Request) {
				for block := []byte(strings.Repeat(line, 5000)); ; {
					if _, err := w.Write(block); err != nil {
						return
					}
				}
			}, "Content-Type", activmail.LogType), 200_000, vam.TooLarge, false},
			{"large checkpoint", logOf(line + "\n" + strings.Repeat("x", 2049)), 1, vam.TooLarge, false},
			{"endless checkpoint", with(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, line+"\n")
				endless(200)(w, r)
			}, "Content-Type", activmail.LogType), 1, vam.TooLarge, false},
			{"no checkpoint", logOf(line), 1, vam.Unavailable, true},
			{"half a line", logOf(line + `{"k"`), 1, vam.Unavailable, true},
			{"no JSON", logOf("hello\n"), 0, vam.Invalid, false},
			{"another type", answering(200, []byte(line), "Content-Type", "text/html"), 0, vam.Invalid, false},
			{"no type", answering(200, []byte(line)), 0, vam.Invalid, false},
			{"coded", answering(200, gzipped([]byte(line)), "Content-Type", activmail.LogType, "Content-Encoding", "gzip"), 0, vam.Invalid, false},
		} {
			t.Run(row.name, func(t *testing.T) {
				s.play(row.answer)
				log, err := c.Log(t.Context(), somebody(), 0, 0)
				lines := 0
				if err == nil {
					lines, err = readAllLines(log)
					if cp := log.Checkpoint(); cp != nil {
						t.Errorf("the checkpoint is %d octets", len(cp))
					}
					log.Close()
				}
				if lines != row.lines || vam.KindOf(err) != row.kind || errors.Is(err, io.ErrUnexpectedEOF) != row.cut {
					t.Errorf("%d lines and %v (%v), want %d and %v", lines, vam.KindOf(err), err, row.lines, row.kind)
				}
			})
		}
	})
}

func byteSequence(b []byte) string { return ":" + base64.StdEncoding.EncodeToString(b) + ":" }

// An entry is a record, a checkpoint and its blob (AM-7.9).
func TestHostileEntries(t *testing.T) {
	blob := []byte("a part of a film")
	line, err := activmail.Record{Kind: activmail.RecordPart, ContentType: "video/mp4", Blob: sha256.Sum256(blob), Length: vam.Bytes(len(blob))}.MarshalLine()
	if err != nil {
		t.Fatal(err)
	}
	entry := func(line, checkpoint, blob []byte) http.HandlerFunc {
		return answering(200, blob, "VAM-Record", byteSequence(line), "VAM-Checkpoint", byteSequence(checkpoint))
	}
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s, c := onStage(t, mode)
		for _, row := range []struct {
			name    string
			answer  http.HandlerFunc
			kind    vam.ErrorKind
			problem string
		}{
			{"wrong blob", entry(line, []byte("cp"), []byte("a part of a filn")), vam.Corrupt, "digest-mismatch"},
			{"endless blob", with(endless(200), "VAM-Record", byteSequence(line), "VAM-Checkpoint", byteSequence([]byte("cp"))), vam.Corrupt, "digest-mismatch"},
			{"no record", answering(200, blob, "VAM-Checkpoint", byteSequence([]byte("cp"))), vam.Invalid, ""},
			{"no checkpoint", answering(200, blob, "VAM-Record", byteSequence(line)), vam.Invalid, ""},
			{"checkpoint too large", entry(line, bytes.Repeat([]byte("x"), 2049), blob), vam.TooLarge, "too-large"},
			{"record too large", entry([]byte("{"+strings.Repeat(" ", 2047)+"}"), []byte("cp"), blob), vam.TooLarge, "too-large"},
			{"no base64", answering(200, blob, "VAM-Record", ":~:", "VAM-Checkpoint", byteSequence([]byte("cp"))), vam.Invalid, ""},
			{"no sequence", answering(200, blob, "VAM-Record", base64.StdEncoding.EncodeToString(line), "VAM-Checkpoint", ":"), vam.Invalid, ""},
			{"no JSON", entry([]byte("part"), []byte("cp"), blob), vam.Invalid, "malformed"},
			{"a header without end", answering(200, blob, "VAM-Record", byteSequence(bytes.Repeat([]byte("x"), 64<<10))), vam.Unavailable, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s.play(row.answer)
				_, err := c.Entry(t.Context(), somebody(), 0, 0)
				wantProblem(t, err, row.kind, row.problem)
			})
		}
		s.play(entry(line, []byte("cp"), blob))
		if e, err := c.Entry(t.Context(), somebody(), 0, 0); err != nil || !bytes.Equal(e.Blob, blob) || !bytes.Equal(e.Line, line) || string(e.Checkpoint) != "cp" {
			t.Errorf("the right one: %+v, %v", e, err)
		}
	})
}

// document is a request that is answered by one, or by a status alone.
type document func(ctx context.Context, c *amclient.Client) error

// documents are those that read a message, and those that are signed.
func documents() (pulls, signed map[string]document) {
	mid := somebody().MessageID
	offer := amclient.OfferName{Origin: "a.test", MessageID: mid, Offer: mid}
	receipt := activmail.Receipt{Recipient: vam.Address{Local: "bob", Domain: "b.test"}, Event: activmail.EventStored, At: time.Unix(1e9, 0).UTC()}
	pulls = map[string]document{
		"head": func(ctx context.Context, c *amclient.Client) error { _, err := c.Head(ctx, somebody()); return err },
		"proof": func(ctx context.Context, c *amclient.Client) error {
			_, err := c.Inclusion(ctx, somebody(), 1, 2)
			return err
		},
	}
	signed = map[string]document{
		"offer": func(ctx context.Context, c *amclient.Client) error {
			_, err := c.PutOffer(ctx, offer, []byte("{}"))
			return err
		},
		"offer state": func(ctx context.Context, c *amclient.Client) error { _, err := c.OfferState(ctx, offer); return err },
		"token":       func(ctx context.Context, c *amclient.Client) error { _, err := c.RenewToken(ctx, mid, mid); return err },
		"receipt":     func(ctx context.Context, c *amclient.Client) error { return c.PutReceipt(ctx, mid, receipt) },
		"poke":        func(ctx context.Context, c *amclient.Client) error { return c.Poke(ctx, "a.test", mid, []byte("cp")) },
	}
	return pulls, signed
}

// Documents are read whole within their limit, and are of what was asked. What a signed
// request is answered with and is not understood is temporary (AM-8.23, AM-10.13): else a
// message would bounce that its recipients have.
func TestHostileDocuments(t *testing.T) {
	pulls, signed := documents()
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s, c := onStage(t, mode)
		for _, row := range []struct {
			name    string
			handler http.HandlerFunc
			kind    vam.ErrorKind // of those that read a message
			fine    string        // who takes it
		}{
			{"no JSON", answering(200, []byte("hello")), vam.Invalid, "receipt"},
			{"another document", answering(200, []byte(`{"v":1}`)), vam.Invalid, "receipt"},
			{"empty", answering(200, nil), vam.Invalid, "receipt"},
			{"huge", answering(200, make([]byte, 65<<10)), vam.TooLarge, ""},
			{"endless", endless(200), vam.TooLarge, ""},
			{"coded", answering(200, gzipped([]byte("{}")), "Content-Encoding", "gzip"), vam.Invalid, ""},
			{"redirect", answering(302, nil, "Location", "https://elsewhere.test/"), vam.Invalid, ""},
			{"redirect for stores", answering(307, nil, "Location", "https://elsewhere.test/"), vam.Invalid, ""},
			{"no content", answering(204, nil), vam.Invalid, "poke"},
			{"not modified", answering(304, nil), vam.Invalid, ""},
			{"success of another kind", answering(203, []byte("{}")), vam.Invalid, ""},
		} {
			s.play(row.handler)
			check := func(name string, do document, kind vam.ErrorKind) {
				t.Helper()
				err := do(t.Context(), c)
				if name == row.fine && err == nil {
					return
				}
				var e *vam.Error
				if !errors.As(err, &e) || e.Kind != kind || kind == vam.Busy && e.Problem != "" {
					t.Errorf("%s, %s: %v (%v), want %v", name, row.name, vam.KindOf(err), err, kind)
				}
			}
			for name, do := range pulls {
				check(name, do, row.kind)
			}
			for name, do := range signed {
				check(name, do, vam.Busy)
			}
		}
		s.play(func(rw http.ResponseWriter, r *http.Request) { // the head of another message
			h := activmail.Head{MessageID: "0193a0c0-0000-7000-8000-000000000001", Origin: "a.test", Kind: vam.File, State: vam.Sealed, Created: time.Unix(1e9, 0), Checkpoint: []byte("x\n")}
			b, err := h.Marshal()
			if err != nil {
				t.Error(err)
			}
			_, _ = rw.Write(b)
		})
		_, err := c.Head(t.Context(), somebody())
		wantProblem(t, err, vam.Invalid, "")
	})
}

// Informational answers do not go on for ever, and a few are ignored (AM-11.5).
func TestInformation(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s, c := onStage(t, mode)
		s.play(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", strings.Repeat("x", 1000))
			for i := 0; r.Context().Err() == nil; i++ {
				w.Header().Set("N", strconv.Itoa(i))
				w.WriteHeader(http.StatusEarlyHints)
			}
		})
		_, err := c.Head(t.Context(), somebody())
		wantProblem(t, err, vam.Unavailable, "")
		s.play(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusContinue)
			w.WriteHeader(http.StatusEarlyHints)
			status(http.StatusGone, "")(w, r)
		})
		_, err = c.Head(t.Context(), somebody())
		wantProblem(t, err, vam.Gone, "expired")
	})
}
