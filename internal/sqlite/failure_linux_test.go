package sqlite_test

import (
	"bytes"
	"cmp"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/fault/powercut"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// A full disk refuses what is new, keeps what was accepted, is read as ever, and heals
// by itself.
func TestFullDisk(t *testing.T) {
	dir := powercut.Small(t, "size=3m")
	db := openAll(t, filepath.Join(dir, "vam.db"), sqlite.Options{OnFail: func(err error) { t.Errorf("alarm: %v", err) }})
	defer func() { check(t, db.Close()) }()
	ballast := filepath.Join(dir, "ballast")
	check(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	var made []string
	var err error
	for i := 0; err == nil; i++ {
		j := offerJob(fmt.Sprint(i))
		j.Payload = bytes.Repeat([]byte{byte(i)}, 20_000)
		if err = db.Queue().Enqueue(t.Context(), j); err == nil {
			made = append(made, j.Key)
		}
	}
	wantKind(t, "a write to a full disk", err, vam.OverQuota)
	if len(made) == 0 {
		t.Fatal("nothing fitted")
	}
	keys := func() (out []string) {
		jobs, err := db.Queue().Jobs(t.Context(), "", 1000)
		check(t, err)
		for _, j := range jobs {
			out = append(out, j.Key)
		}
		return out
	}
	if got := keys(); !slices.Equal(got, made) {
		t.Errorf("on the full disk there are the jobs %q, want %q", got, made)
	}
	// Those who share a commit with one that does not fit may fail with it, and none of
	// them is half there.
	big := make([]byte, queue.MaxPayload)
	err = db.Write(t.Context(), func(tx *sql.Tx) error {
		for i := range 40 {
			if _, err := tx.ExecContext(t.Context(), `UPDATE job SET payload = ?2 WHERE key = ?1`, made[i%len(made)], big); err != nil {
				return err
			}
		}
		return nil
	})
	wantKind(t, "a large change", err, vam.OverQuota)
	check(t, db.Check(t.Context()))

	check(t, os.Remove(ballast))
	check(t, db.Queue().Enqueue(t.Context(), offerJob("healed")))
	if got := keys(); !slices.Equal(got, append(made, "healed")) {
		t.Errorf("afterwards there are the jobs %q", got)
	}
}

func TestNoRoomForANewDatabase(t *testing.T) {
	dir := powercut.Small(t, "size=64k")
	_, err := sqlite.Open(t.Context(), filepath.Join(dir, "vam.db"), sqlite.Options{})
	wantKind(t, "a new database on a disk that is too small", err, vam.OverQuota)
}

func TestReadOnlyFolder(t *testing.T) {
	dir := powercut.Small(t, "size=8m")
	path := filepath.Join(dir, "vam.db")
	db := openAll(t, path, sqlite.Options{})
	check(t, db.Queue().Enqueue(t.Context(), offerJob("a")))
	check(t, db.Close())
	check(t, unix.Mount("", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	wantKind(t, "a database in a read-only folder", err, vam.Unavailable)
	_, err = sqlite.Open(t.Context(), filepath.Join(dir, "new.db"), sqlite.Options{})
	wantKind(t, "a new database in a read-only folder", err, vam.Unavailable)
	check(t, unix.Mount("", dir, "tmpfs", unix.MS_REMOUNT, ""))
	checkPromises(t, dir, []string{"made a"})
}

// One flush fails and all later ones would succeed: nothing may be accepted on top of
// pages that the disk has lost, before a restart reads them again.
func TestFailedFlush(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		powercut.Unavailable(t, "failing a flush needs strace: %v", err)
	}
	place := t.TempDir()
	check(t, openAll(t, filepath.Join(place, "vam.db"), sqlite.Options{}).Close())
	// strace counts for each thread: the first that comes to its third flush of the log
	// is told that it failed.
	c := startChild(t, "flush", place, nil, strace, "-f", "-qq", "-o", "/dev/null", "-P", filepath.Join(place, "vam.db-wal"),
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=3")
	if err := c.reap(); err != nil {
		powercut.Unavailable(t, "strace cannot watch a process here: %v %q", err, c.lines)
	}
	failed, alarms := "", 0
	for _, line := range c.lines {
		verb, rest, _ := strings.Cut(line, " ")
		switch {
		case verb == "alarm":
			alarms++
		case verb == "refused":
			if !strings.HasSuffix(rest, vam.Unavailable.String()) {
				t.Errorf("%s, want kind %s", line, vam.Unavailable)
			}
			failed = cmp.Or(failed, rest)
		case verb == "unread":
			t.Errorf("reading stopped too: %s", rest)
		case failed != "":
			t.Errorf("%s, after the flush of %s had failed", line, failed)
		}
	}
	if failed == "" || alarms != 1 {
		t.Fatalf("%d alarms, first refused %q: %q", alarms, failed, c.lines)
	}
	checkPromises(t, place, c.lines)
	t.Logf("job %s met the failed flush", failed)
}
