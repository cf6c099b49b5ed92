// Package fault names the places where a crash, an error or a delay hurts most,
// so that tests can put one there. Without the build tag "fault" every Point is
// an empty function that the compiler removes; with it, rules come from the
// environment variable VAM_FAULT or from Set.
//
// A rule is NAME=ACTION[@WHEN], rules are separated by commas:
//
//	localblob.before-rename=crash        kill -9 of the own process at the first hit
//	localblob.before-fdatasync=error:EIO@3   the third hit fails with that errno
//	sqlite.before-commit=delay:50ms@1+   every hit from the first on is slow
//
// Writing the points into the code lost against strace -e inject only where the
// place is "any system call": a name survives a refactoring, and says in a test's
// output what was interrupted.
package fault

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Env is the environment variable that holds the rules of a process.
const Env = "VAM_FAULT"

// Rule is one parsed fault.
type Rule struct {
	Name  string        // the point
	Crash bool          // SIGKILL to the own process
	Err   error         // returned by Point
	Delay time.Duration // slept before Point returns
	From  int           // the first hit that counts, from 1
	Only  bool          // that hit alone; otherwise every one from there on
}

// Parse reads a comma-separated list of rules. An empty list is no rules.
func Parse(spec string) ([]Rule, error) {
	var rules []Rule
	for item := range strings.SplitSeq(spec, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		r, err := parseRule(item)
		if err != nil {
			return nil, fmt.Errorf("fault rule %q: %w", item, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(s string) (Rule, error) {
	name, action, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return Rule{}, fmt.Errorf("want NAME=ACTION[@WHEN]")
	}
	r := Rule{Name: name, From: 1, Only: true}
	action, when, ok := strings.Cut(action, "@")
	if ok {
		when, more := strings.CutSuffix(when, "+")
		n, err := strconv.Atoi(when)
		if err != nil || n < 1 {
			return Rule{}, fmt.Errorf("want a hit such as @3 or @3+")
		}
		r.From, r.Only = n, !more
	}
	verb, arg, _ := strings.Cut(action, ":")
	switch verb {
	case "crash":
		r.Crash = true
	case "error":
		errno, err := parseErrno(arg)
		if err != nil {
			return Rule{}, err
		}
		r.Err = errno
	case "delay":
		d, err := time.ParseDuration(arg)
		if err != nil || d < 0 {
			return Rule{}, fmt.Errorf("want a delay such as delay:50ms")
		}
		r.Delay = d
	default:
		return Rule{}, fmt.Errorf("unknown action %q: crash, error and delay are known", verb)
	}
	return r, nil
}

func parseErrno(name string) (syscall.Errno, error) {
	switch name {
	case "", "EIO":
		return syscall.EIO, nil
	case "ENOSPC":
		return syscall.ENOSPC, nil
	case "EMFILE":
		return syscall.EMFILE, nil
	case "EROFS":
		return syscall.EROFS, nil
	}
	return 0, fmt.Errorf("unknown error %q: EIO, ENOSPC, EMFILE and EROFS are known", name)
}
