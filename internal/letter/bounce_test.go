package letter_test

import (
	"bufio"
	"bytes"
	"io"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/letter"
)

func bounce(t *testing.T) *letter.Bounce {
	t.Helper()
	raw, err := sample().Compose()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 27, 8, 44, 23, 0, time.UTC)
	return &letter.Bounce{
		ID: "01936b2e-5c00-7abc-8def-ffffffffffff", Reporting: "a.example", To: box("", "alice@a.example").Addr, Date: at,
		Original: mid, Kind: vam.Video, Subject: "Sunday", Sent: at.Add(-96 * time.Hour), Mail: raw,
		Recipients: []letter.BouncedRecipient{
			{
				Addr: box("", "bob@b.example").Addr, Action: letter.Failed, Status: "5.1.1", Problem: "no-such-recipient",
				Reason: "There is no bob at b.example", Remote: "b.example", LastAttempt: at.Add(-time.Minute),
			},
			{
				Addr: box("", "jürgen+x@c.example").Addr, Action: letter.Delayed, Status: "4.4.1",
				Reason: "c.example could not be reached: é\r\nAction: delivered", RetryUntil: at.Add(time.Hour),
			},
		},
	}
}

// report is a bounce as another MIME library reads it.
type report struct {
	header message.Header
	text   string
	groups []textproto.MIMEHeader
	head   textproto.MIMEHeader
}

func parseReport(t *testing.T, raw []byte) report {
	t.Helper()
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	media, params, err := e.Header.ContentType()
	if err != nil || media != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("type %s %v (%v)", media, params, err)
	}
	out := report{header: e.Header}
	r := e.MultipartReader()
	for {
		part, err := r.NextPart()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatal(err)
		}
		switch media, _, _ := part.Header.ContentType(); media {
		case "text/plain":
			out.text = strings.ReplaceAll(string(body), "\r\n", "\n")
		case "message/delivery-status":
			for group := range strings.SplitSeq(strings.TrimRight(string(body), "\r\n"), "\r\n\r\n") {
				out.groups = append(out.groups, parseHeader(t, group))
			}
		case "text/rfc822-headers":
			out.head = parseHeader(t, strings.TrimRight(string(body), "\r\n"))
		default:
			t.Fatalf("unexpected part %s", media)
		}
	}
}

func parseHeader(t *testing.T, s string) textproto.MIMEHeader {
	t.Helper()
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(s + "\r\n\r\n"))).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("%v in %q", err, s)
	}
	return h
}

func TestBounce(t *testing.T) {
	raw, err := bounce(t).Compose()
	if err != nil {
		t.Fatal(err)
	}
	r := parseReport(t, raw)
	for name, want := range map[string]string{
		"Return-Path": "<>", "From": "Mail system <mailer-daemon@a.example>", "To": "alice@a.example",
		"Subject": "Not delivered: Sunday", "Auto-Submitted": "auto-replied", "Date": "Fri, 27 Nov 2026 08:44:23 +0000",
		"Message-Id": "<01936b2e-5c00-7abc-8def-ffffffffffff@a.example>", "In-Reply-To": "<" + string(mid) + "@a.example>",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	want := []textproto.MIMEHeader{
		{
			"Reporting-Mta": {"dns; a.example"}, "Original-Envelope-Id": {string(mid)},
			"Arrival-Date": {"Mon, 23 Nov 2026 08:44:23 +0000"},
		},
		{
			"Final-Recipient": {"rfc822; bob@b.example"}, "Action": {"failed"}, "Status": {"5.1.1"}, "Remote-Mta": {"dns; b.example"},
			"Diagnostic-Code": {"x-vam; no-such-recipient There is no bob at b.example"}, "Last-Attempt-Date": {"Fri, 27 Nov 2026 08:43:23 +0000"},
		},
		{
			"Final-Recipient": {`utf-8; j\x{FC}rgen\x{2B}x@c.example`}, "Action": {"delayed"}, "Status": {"4.4.1"},
			"Diagnostic-Code":  {"x-vam; c.example could not be reached: ? Action: delivered"},
			"Will-Retry-Until": {"Fri, 27 Nov 2026 09:44:23 +0000"},
		},
	}
	if d := cmp.Diff(want, r.groups); d != "" {
		t.Error(d)
	}
	if r.head.Get("Subject") != "Sunday" || r.head.Get("VAM-Message") == "" {
		t.Errorf("the returned header is %v", r.head)
	}
	wantText := `This is the mail system of a.example.

Your video message “Sunday” of 23 November 2026, 08:44 UTC could not be delivered to:

    bob@b.example
    Why: There is no bob at b.example. (5.1.1, said by b.example)
    What to do: Check the spelling of the address, or ask the recipient for it, and send again.

Your video message “Sunday” of 23 November 2026, 08:44 UTC has not been delivered yet to:

    jürgen+x@c.example
    Why: c.example could not be reached: é Action: delivered. (4.4.1)
    What to do: Nothing yet. We keep trying until 27 November 2026, 09:44 UTC and tell you how it ends.
`
	if d := cmp.Diff(wantText, r.text); d != "" {
		t.Error(d)
	}
	v, err := letter.Read(raw)
	if err != nil || v.Text+"\n" != wantText || v.From.Addr.Local != "mailer-daemon" {
		t.Errorf("our own reader reads %+v (%v)", v, err)
	}
}

func TestBounceStatus(t *testing.T) {
	for _, tc := range []struct {
		action letter.Action
		status string
		want   string
		advice string
	}{
		{letter.Failed, "5.1.1", "5.1.1", "spelling"},
		{letter.Failed, "5.1.2", "5.1.2", "after the @"},
		{letter.Failed, "5.2.2", "5.2.2", "full"},
		{letter.Failed, "5.3.4", "5.3.4", "smaller"},
		{letter.Failed, "4.4.7", "4.4.7", "in time"},
		{letter.Failed, "5.7.26", "5.7.26", "administrator"},
		{letter.Failed, "5.7.1", "5.7.1", "does not want"},
		{letter.Failed, "4.3.2", "4.3.2", "later"},
		{letter.Failed, "5.5.4", "5.5.4", "another way"},
		{letter.Failed, "", "5.0.0", "another way"},
		{letter.Failed, "2.0.0", "5.0.0", "another way"},
		{letter.Failed, "5.1.1\r\nX: y", "5.0.0", "another way"},
		{letter.Failed, "5.1", "5.0.0", "another way"},
		{letter.Failed, "5.1.1234", "5.0.0", "another way"},
		{letter.Failed, "5.1.1.1", "5.0.0", "another way"},
		{letter.Delayed, "5.1.1", "4.0.0", "keep trying"},
		{letter.Delayed, "4.7.0", "4.7.0", "keep trying"},
		{"odd", "4.7.0", "4.7.0", "administrator"},
	} {
		b := bounce(t)
		b.Recipients = b.Recipients[:1]
		b.Recipients[0].Action, b.Recipients[0].Status = tc.action, tc.status
		raw, err := b.Compose()
		if err != nil {
			t.Fatal(err)
		}
		r := parseReport(t, raw)
		if got := r.groups[1].Get("Status"); got != tc.want || !strings.Contains(r.text, tc.advice) {
			t.Errorf("%s %q gives %q and\n%s", tc.action, tc.status, got, r.text)
		}
	}
}

func TestBounceWithoutMuch(t *testing.T) {
	b := &letter.Bounce{
		ID: mid, Reporting: "a.example", To: box("", "alice@a.example").Addr, Date: time.Unix(1e9, 0), Original: mid,
		Recipients: []letter.BouncedRecipient{{Addr: box("", "bob@b.example").Addr}},
		Mail:       []byte("not a mail"),
	}
	raw, err := b.Compose()
	if err != nil {
		t.Fatal(err)
	}
	r := parseReport(t, raw)
	if r.header.Get("Subject") != "Not delivered: your message" || !strings.Contains(r.text, "Your message could not be delivered to:") || r.head != nil {
		t.Errorf("%v\n%s", r.header, r.text)
	}
	b.Recipients = nil
	if _, err := b.Compose(); vam.KindOf(err) != vam.Invalid {
		t.Errorf("a bounce about nobody: %v", err)
	}
}

// A letter that looks like the end of a part ends nothing.
func TestBounceReturnsTheHeaderAlone(t *testing.T) {
	b := bounce(t)
	b.Mail = []byte("A: b\r\n--=_" + string(b.ID) + "x: c\r\nSubject: é\r\n\r\n--=_" + string(b.ID) + "--\r\nsecret body")
	raw, err := b.Compose()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("secret body")) {
		t.Error("the body was returned")
	}
}
