// Command tusd serves the tus protocol over TLS 1.3 and HTTP/1.1 with the tusd
// library and its file store, for comparison in the benchmarks. It is a module of
// its own so that vam does not depend on tusd.
//
// It prints the address that it listens on and serves until SIGTERM. The file store
// does not sync what it acknowledges.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tus/tusd/v2/pkg/filelocker"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"golang.org/x/exp/slog"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address and port")
	dir := flag.String("dir", "", "folder for uploads")
	cert := flag.String("cert", "", "certificate in PEM")
	key := flag.String("key", "", "its key in PEM")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx, *listen, *dir, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, listen, dir, cert, key string) error {
	store := handler.NewStoreComposer()
	filestore.New(dir).UseIn(store)
	filelocker.New(dir).UseIn(store)
	tus, err := handler.NewHandler(handler.Config{
		BasePath:      "/files/",
		StoreComposer: store,
		Logger:        slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	var h1 http.Protocols
	h1.SetHTTP1(true)
	server := &http.Server{
		Handler:           http.StripPrefix("/files/", tus),
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}},
		Protocols:         &h1,
		ReadHeaderTimeout: time.Minute,
	}
	fmt.Println(l.Addr())
	done := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer done()
	if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
