package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/fault/powercut"
)

const unitFile = "../../contrib/vam.service"

// TestUnitSaysWhatTheProgramUnderstands compares the unit with the command line.
func TestUnitSaysWhatTheProgramUnderstands(t *testing.T) {
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	_, command, _ := strings.Cut(string(unit), "\nExecStart=")
	command, _, _ = strings.Cut(command, "\n")
	words := strings.Fields(command)
	var c cli
	parser, err := newParser(&c, &env{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if k, err := parser.Parse(words[1:]); err != nil || k.Command() != "serve" {
		t.Errorf("%s: %v", command, err)
	}
	for _, want := range []string{
		fmt.Sprintf("RestartPreventExitStatus=%d %d\n", exitUsage, exitConfig), "Type=notify\n", "User=vam\n", "StateDirectory=vam\n",
	} {
		if !strings.Contains(string(unit), want) {
			t.Errorf("the unit lacks %q", want)
		}
	}
}

// TestUnitVerifies asks systemd about the unit, and how much it leaves open.
func TestUnitVerifies(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		powercut.Unavailable(t, "systemd-analyze is not here: apt-get install systemd")
	}
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("vam")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "vam.service")
	text := strings.ReplaceAll(string(unit), "/usr/local/bin/vam", program)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	const most = "20" // tenths of the points that systemd gives for what is left open
	if out, err := exec.Command(analyze, "security", "--no-pager", "--offline=yes", "--threshold="+most, file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
