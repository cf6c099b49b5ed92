package netem_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/videoactivmail/vam/internal/netem"
)

// quicPair connects through a link between two loopback addresses. Everything ends
// with the test.
func quicPair(t testing.TB, c netem.Config) (client, server *quic.Conn, link *netem.UDPLink) {
	t.Helper()
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"link.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	fatal(err)
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}

	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	fatal(err)
	at := &quic.Transport{Conn: udp}
	l, err := at.Listen(&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"x"}}, &quic.Config{InitialStreamReceiveWindow: 8 << 20, InitialConnectionReceiveWindow: 8 << 20})
	fatal(err)
	c.Listen, c.Target = "127.0.0.1:0", udp.LocalAddr().String()
	link, err = netem.OpenUDP(c)
	fatal(err)
	near, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	fatal(err)
	from := &quic.Transport{Conn: near}
	t.Cleanup(func() {
		for _, c := range []io.Closer{from, near, l, at, udp, link} {
			_ = c.Close()
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	accepted := make(chan *quic.Conn, 1)
	go func() {
		c, err := l.Accept(ctx)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	client, err = from.Dial(ctx, link.Addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"x"}}, nil)
	fatal(err)
	return client, <-accepted, link
}

func TestQUICSurvivesABadLink(t *testing.T) {
	bad := netem.Shape{Delay: 5 * time.Millisecond, Rate: netem.Megabits(200), Loss: 0.02, Duplicate: 0.02, Reorder: 0.02}
	client, server, link := quicPair(t, netem.Config{Shapes: [2]netem.Shape{bad, bad}, Seed: 11})
	want := noise(2 << 20)
	go func() {
		s, err := server.OpenUniStream()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = s.Write(want)
		_ = s.Close()
	}()
	s, err := client.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d octets, %v", len(got), len(want), err)
	}
	if st := link.Stats(netem.ToClient); st.Lost == 0 || st.Doubled == 0 {
		t.Fatalf("the link was not bad: %+v", st)
	}
}

func BenchmarkUDPLink(b *testing.B) {
	client, server, _ := quicPair(b, netem.Config{Shapes: netem.Even(2*time.Millisecond, 0)})
	b.SetBytes(1 << 20)
	go func() {
		s, err := server.OpenUniStream()
		if err != nil {
			b.Error(err)
			return
		}
		piece := make([]byte, 1<<20)
		for range b.N {
			if _, err := s.Write(piece); err != nil {
				return
			}
		}
		_ = s.Close()
	}()
	s, err := client.AcceptUniStream(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		b.Fatal(err)
	}
}
