package pair_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/internal/netem"
)

// program builds vam once for the package.
func program(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("VAM_PROGRAM"); p != "" {
		return p
	}
	bin := filepath.Join(t.TempDir(), "vam")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/vam").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

func noise(size int) (content []byte, sum string) {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	h := sha256.Sum256(b)
	return b, hex.EncodeToString(h[:])
}

func TestPair(t *testing.T) {
	bin := program(t)
	for name, path := range map[string]pair.Path{
		"direct": {},
		"links":  {Links: true, Shapes: netem.Even(4*time.Millisecond, 0)},
	} {
		for _, transport := range []string{"tcp", "udp"} {
			t.Run(name+" "+transport, func(t *testing.T) {
				ctx := t.Context()
				p, err := pair.Start(ctx, pair.Options{Program: bin, Scratch: t.TempDir(), Path: path, Transport: transport})
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := p.Close(); err != nil {
						t.Error(err)
					}
				}()
				alice, bob := p.A.User(pair.Sender), p.B.User(pair.Recipient)
				content, sum := noise(3<<20 + 123)
				id, err := alice.Prepare(ctx, bytes.NewReader(content), int64(len(content)), pair.Recipient)
				if err != nil {
					t.Fatal(err)
				}
				m, sent, err := alice.Send(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				first, err := bob.FirstPart(ctx, m)
				if err != nil {
					t.Fatal(err)
				}
				stored, err := bob.Stored(ctx, m)
				if err != nil {
					t.Fatal(err)
				}
				t.Log(first.Sub(sent), stored.Sub(sent))
				if err := bob.Check(ctx, m, sum); err != nil {
					t.Fatal(err)
				}
				if _, err := alice.Delivered(ctx, m); err != nil {
					t.Fatal(err)
				}
				if _, err := alice.SendWhole(ctx, content[:100_000], pair.Second); err != nil {
					t.Fatal(err)
				}
				mem, err := p.B.Memory()
				if err != nil {
					t.Fatal(err)
				}
				metrics, err := p.B.Metrics(ctx)
				if err != nil {
					t.Fatal(err)
				}
				t.Log(mem, metrics.Sum("vam_media_bytes_total", `direction="in"`))
			})
		}
	}
}
