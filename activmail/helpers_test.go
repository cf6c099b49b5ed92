package activmail_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// What most tests speak of.
const (
	origin  = vam.Domain("a.example")
	mid     = vam.MessageID("019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10")
	offerID = vam.MessageID("019acf10-9d27-7f05-8e61-0a4d3c9b2e77")
)

var (
	messageKey = keyOf("message")
	otherKey   = keyOf("other")
)

// keyOf is a private key that is the same in every run.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	pub, _ := key.Public().(ed25519.PublicKey)
	return pub
}

// wantError fails unless err is a *vam.Error of that kind and problem, with a sentence
// for a stranger.
func wantError(t testing.TB, err error, kind vam.ErrorKind, problem string) {
	t.Helper()
	if fault := errorFault(err, kind, problem); fault != "" {
		t.Error(fault)
	}
}

func errorFault(err error, kind vam.ErrorKind, problem string) string {
	var e *vam.Error
	switch {
	case !errors.As(err, &e):
		return fmt.Sprintf("got %v, which is no *vam.Error; want %s, %s", err, kind, problem)
	case e.Kind != kind || activmail.ProblemFor(err).Name != problem:
		return fmt.Sprintf("got %s, %s (%v); want %s, %s", e.Kind, activmail.ProblemFor(err).Name, err, kind, problem)
	case e.Message == "":
		return "the error has no sentence"
	}
	return ""
}

// vectorInputs are the values of an input in the vectors of an operation, good and bad
// ones: the seeds of the fuzz targets.
func vectorInputs(t testing.TB, op, input string) []string {
	t.Helper()
	files, err := filepath.Glob("../spec/vectors/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no vectors: %v", err)
	}
	var out []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := amtest.ReadCases(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			for _, v := range c.In.All(input) {
				if c.Op == op {
					out = append(out, string(v))
				}
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no vector has the operation %s with the input %s", op, input)
	}
	return out
}

// addSeeds gives a fuzz target the inputs of the vectors, and some of its own.
func addSeeds(f *testing.F, op, input string, more ...string) {
	const longest = 8 << 10 // long ones only slow the engine down
	for _, s := range append(vectorInputs(f, op, input), more...) {
		if len(s) <= longest {
			f.Add([]byte(s))
		}
	}
}

// Generators of what VAM/1 consists of.

func genSum() *rapid.Generator[activmail.Sum] {
	return rapid.Custom(func(t *rapid.T) activmail.Sum {
		return sha256.Sum256([]byte{rapid.Byte().Draw(t, "sum")})
	})
}

func genHash() *rapid.Generator[activmail.Hash] {
	return rapid.Custom(func(t *rapid.T) activmail.Hash { return activmail.Hash(genSum().Draw(t, "hash")) })
}

func genWord() *rapid.Generator[string] { return rapid.StringMatching(`[a-z][a-z0-9._-]{0,31}`) }

// genTime is a time in whole seconds that RFC 3339 can write.
func genTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 253402300799).Draw(t, "seconds"), 0).UTC()
	})
}

// genSeconds is a duration as AM-1.7 can write it.
func genSeconds() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		d := time.Duration(rapid.Int64Range(0, 9_999_999).Draw(t, "seconds")) * time.Second
		return d + time.Duration(rapid.SampledFrom([]int64{0, 1, 40_000_000, 100_000_000, 999_999_999}).Draw(t, "nanoseconds"))
	})
}

func genBytes(limit int64) *rapid.Generator[vam.Bytes] {
	return rapid.Custom(func(t *rapid.T) vam.Bytes { return vam.Bytes(rapid.Int64Range(0, limit).Draw(t, "bytes")) })
}

const maxCount = 1<<53 - 1

func genMediaType() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{
		"video/mp4", `video/mp4; codecs="avc1.64001f,mp4a.40.2"`, "application/octet-stream", "text/vtt;charset=utf-8;", `a/b;c="\"\\"`,
	})
}

func genLabel() *rapid.Generator[string] {
	return rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?`)
}

func genDomain() *rapid.Generator[vam.Domain] {
	return rapid.Custom(func(t *rapid.T) vam.Domain {
		labels := rapid.SliceOfN(genLabel(), 1, 4).Draw(t, "labels")
		return vam.Domain(strings.Join(labels, ".") + "." + rapid.StringMatching(`[a-z][a-z0-9]{1,5}`).Draw(t, "last"))
	})
}

func genID() *rapid.Generator[vam.MessageID] {
	return rapid.Custom(func(t *rapid.T) vam.MessageID {
		return vam.MessageID(rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`).Draw(t, "id"))
	})
}

// genAddress makes local parts with and without need of quotes.
func genAddress(domain vam.Domain) *rapid.Generator[vam.Address] {
	return rapid.Custom(func(t *rapid.T) vam.Address {
		local := rapid.StringOfN(rapid.SampledFrom([]rune(`abzAZ09._+-"\@ (),:;<>[]äß漢🌊`)), 1, 12, 24).Draw(t, "local")
		return vam.Address{Local: local, Domain: domain}
	})
}

// genSentence is a text that a person may be shown.
func genSentence() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune(`abc XYZ.,"\/<>&äß漢🌊`)), 0, 80, 500)
}

func genCode() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"5.1.1", "4.2.2", "5.7.26", "2.0.0", "4.999.100"})
}

func token(n byte) activmail.Token {
	var b [32]byte
	b[0] = n
	return activmail.Token("vp_" + base64.RawURLEncoding.EncodeToString(b[:]))
}
