package fault_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam/internal/fault"
)

func TestParse(t *testing.T) {
	tests := []struct {
		spec string
		want []fault.Rule
	}{
		{"", nil},
		{"a.b=crash", []fault.Rule{{Name: "a.b", Crash: true, From: 1, Only: true}}},
		{"a=crash@3", []fault.Rule{{Name: "a", Crash: true, From: 3, Only: true}}},
		{"a=error@2+", []fault.Rule{{Name: "a", Err: syscall.EIO, From: 2}}},
		{"a=error:ENOSPC, b=delay:50ms", []fault.Rule{
			{Name: "a", Err: syscall.ENOSPC, From: 1, Only: true},
			{Name: "b", Delay: 50 * time.Millisecond, From: 1, Only: true},
		}},
	}
	for _, tt := range tests {
		got, err := fault.Parse(tt.spec)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.spec, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tt.spec, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, spec := range []string{"crash", "=crash", "a=", "a=boom", "a=crash@0", "a=crash@x", "a=error:EWHAT", "a=delay", "a=delay:-1s"} {
		if _, err := fault.Parse(spec); err == nil {
			t.Errorf("Parse(%q) was accepted", spec)
		}
	}
}
