package mailauth_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// interopMails is how many mails both sides must agree on (M12 of the attack
// catalogue: at least 200).
const interopMails = 210

// python finds an interpreter with dkimpy and PyNaCl (Debian: python3-dkim,
// python3-nacl). Without one the test is skipped, and fails in CI.
func python(t *testing.T) string {
	t.Helper()
	var why []string
	for _, path := range []string{"python3", "/usr/bin/python3"} {
		out, err := exec.Command(path, "-c", "import dkim, nacl.signing").CombinedOutput()
		if err == nil {
			return path
		}
		why = append(why, fmt.Sprintf("%s: %v %s", path, err, bytes.TrimSpace(out)))
	}
	message := "no Python with dkimpy and PyNaCl (apt-get install python3-dkim python3-nacl): " + strings.Join(why, "; ")
	if os.Getenv("VAM_CI") == "1" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

type signJob struct {
	Mail     string `json:"mail"`
	Selector string `json:"selector"`
	Domain   string `json:"domain"`
	Alg      string `json:"alg"`
	Key      string `json:"key"`
}

type dkimpyJob struct {
	Zone   map[string]string `json:"zone"`
	Verify []string          `json:"verify"`
	Sign   []signJob         `json:"sign"`
}

type dkimpyAnswer struct {
	Verified []struct {
		Results             []bool
		Fields              int
		From, Subject, Text string
	}
	Signed []string
}

func dkimpy(t *testing.T, job dkimpyJob) dkimpyAnswer {
	t.Helper()
	in, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python(t), "testdata/dkimpy.py")
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dkimpy: %v\n%s", err, stderr.String())
	}
	var answer dkimpyAnswer
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// randomLetter is a letter with texts that are hard on folding, encoding and
// canonicalization.
func randomLetter(r *rand.Rand) *letter.Letter {
	pieces := []string{"word", " ", "  ", "\t", "é", "日本語", "😀", "=?utf-8?q?x?=", "\"", "\\", ",", "<b>", "@", ".", "From ", strings.Repeat("long", 40), "=3D", "_"}
	text := func(n int, glue string) string {
		out := make([]string, r.IntN(n))
		for i := range out {
			out[i] = pieces[r.IntN(len(pieces))]
		}
		return strings.Join(out, glue)
	}
	l := &letter.Letter{
		From:    rfc5322.Mailbox{Name: text(6, ""), Addr: vam.Address{Local: "alice", Domain: "a.example"}},
		To:      []rfc5322.Mailbox{{Name: text(6, " "), Addr: vam.Address{Local: "a b", Domain: "b.example"}}},
		Subject: "S " + text(20, ""),
		Words:   text(40, "") + "\n" + text(40, "\n") + " \t\n\n",
		Date:    time.Unix(1e9+r.Int64N(1e9), 0),
		Kind:    []vam.Kind{vam.Video, vam.Voice, vam.File}[r.IntN(3)],
		Header:  activmail.MessageHeader{ID: mid, Origin: "a.example", Key: messageKey()},
	}
	if r.IntN(2) == 0 {
		l.Header.Sealed, l.Header.Bytes, l.Header.Duration = true, vam.Bytes(r.Int64N(1e10)), time.Duration(r.Int64N(1e12))
		l.Header.Checkpoint.Size = 1 + r.Int64N(1e5)
	}
	for range r.IntN(30) {
		l.Cc = append(l.Cc, rfc5322.Mailbox{Name: text(3, ""), Addr: vam.Address{Local: "carol", Domain: "c.example"}})
	}
	return l
}

// Our letters, signed by both algorithms, are verified by dkimpy and read by
// Python's email package as we read them; a changed one is refused by both sides.
func TestDkimpyVerifiesOurs(t *testing.T) {
	python(t)
	z := &mailauthtest.Zone{}
	s := mailauthtest.Signer(t, z, "a.example")
	s.Keys = append(s.Keys, mailauthtest.RSA(t, z, "r1", "a.example", 2048))
	job := dkimpyJob{Zone: make(map[string]string)}
	for _, key := range s.Keys {
		job.Zone[mailauth.KeyName(key.Selector, "a.example")] = mustKey(t, key.Key.Public())
	}
	r := rand.New(rand.NewPCG(1, 2))
	var mails [][]byte
	for i := range interopMails {
		raw, err := randomLetter(r).Compose()
		if err != nil {
			t.Fatal(err)
		}
		raw = sign(t, s, raw)
		if i%3 == 2 { // forged
			raw = bytes.Replace(raw, []byte("\r\nSubject: "), []byte("\r\nSubject: forged "), 1)
		}
		mails = append(mails, raw)
		job.Verify = append(job.Verify, base64.StdEncoding.EncodeToString(raw))
	}
	answer := dkimpy(t, job)
	for i, got := range answer.Verified {
		_, err := verify(z, mails[i])
		ours := err == nil
		if ours == (i%3 == 2) {
			t.Fatalf("mail %d: we say %v\n%s", i, err, mails[i])
		}
		if len(got.Results) != 2 || got.Results[0] != ours || got.Results[1] != ours {
			t.Fatalf("mail %d: dkimpy says %v, we say %v\n%s", i, got.Results, err, mails[i])
		}
		m, err := rfc5322.Scan(mails[i])
		if err != nil {
			t.Fatal(err)
		}
		view, err := letter.Read(mails[i])
		if err != nil {
			t.Fatal(err)
		}
		if got.Fields != len(m.Fields) || got.From != view.From.Addr.String() {
			t.Errorf("mail %d: Python reads %d fields and From %q, we read %d and %v", i, got.Fields, got.From, len(m.Fields), view.From.Addr)
		}
		// The last line is the letter's own.
		words := beforeLast(strings.TrimRight(strings.ReplaceAll(got.Text, "\r\n", "\n"), " \t\n"), "\n")
		if rfc5322.Clean(got.Subject, letter.MaxSubject) != view.Subject || strings.TrimRight(words, " \t\n") != view.Text {
			t.Fatalf("mail %d: Python reads %q and %q, we read %q and %q", i, got.Subject, got.Text, view.Subject, view.Text)
		}
	}
}

// beforeLast is what stands before the last sep, "" without one.
func beforeLast(s, sep string) string { return s[:max(0, strings.LastIndex(s, sep))] }

// What dkimpy signs, in both algorithms, we verify.
func TestWeVerifyDkimpys(t *testing.T) {
	python(t)
	z := &mailauthtest.Zone{}
	ed := mailauthtest.Ed25519(t, z, "m1", "a.example")
	rs := mailauthtest.RSA(t, z, "r1", "a.example", 2048)
	seed := base64.StdEncoding.EncodeToString(ed.Key.(ed25519.PrivateKey).Seed())
	rsaPEM := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rs.Key.(*rsa.PrivateKey))}))
	r := rand.New(rand.NewPCG(3, 4))
	job := dkimpyJob{Zone: map[string]string{}}
	for i := range interopMails {
		l := randomLetter(r)
		l.Cc = nil
		raw, err := l.Compose()
		if err != nil {
			t.Fatal(err)
		}
		s := signJob{Mail: base64.StdEncoding.EncodeToString(raw), Selector: "m1", Domain: "a.example", Alg: "ed25519-sha256", Key: seed}
		if i%4 == 0 {
			s.Domain = "A.Example" // a domain is the same in every case of letters
		}
		if i%2 == 1 {
			s.Selector, s.Alg, s.Key = "r1", "rsa-sha256", rsaPEM
		}
		job.Sign = append(job.Sign, s)
	}
	answer := dkimpy(t, job)
	if len(answer.Signed) != interopMails {
		t.Fatalf("%d mails came back", len(answer.Signed))
	}
	for i, text := range answer.Signed {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		v, err := verify(z, raw)
		if err != nil || v.Selector != job.Sign[i].Selector {
			t.Fatalf("mail %d: %+v, %v\n%s", i, v, err, raw)
		}
	}
}
