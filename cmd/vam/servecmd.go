package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"

	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/telemetry"
)

type serveCmd struct{}

func (serveCmd) Help() string {
	return `Runs the server until it is interrupted (SIGINT, SIGTERM), then ends in order:
running requests and transfers get the time of delivery.drain_within, and what
is not finished goes on after the next start. The log goes to standard error.

Examples:

    vam serve
    vam --data /srv/vam serve
    vam --config /etc/vam/vam.toml --log-level debug serve`
}

func (serveCmd) Run(ctx context.Context, e *env) error {
	conf, err := e.loadConfig()
	if err != nil {
		return err
	}
	logger, err := newLogger(e.err, conf.Log)
	if err != nil {
		return err
	}
	v := buildVersion()
	d, err := daemon.Open(ctx, daemon.Options{Config: conf.Config, Version: v.Version, Revision: v.Revision, Sandbox: e.sandbox, Log: logger})
	if err != nil {
		return err
	}
	if err := d.Run(ctx, e.notifyReady); err != nil {
		return err
	}
	return nil
}

func newLogger(w io.Writer, c config.Log) (*slog.Logger, error) {
	level, err := telemetry.ParseLevel(c.Level)
	if err != nil {
		return nil, err
	}
	return telemetry.NewLogger(w, telemetry.LogOptions{JSON: c.Format == "json", Level: level}), nil
}

// notifyReady tells a supervisor of the sd_notify(3) protocol that the server answers.
func (e *env) notifyReady() {
	path := e.getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		_, err = conn.Write([]byte("READY=1"))
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		e.note("the supervisor was not told: %s", err)
	}
}
