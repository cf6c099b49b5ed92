package activmail_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

func TestTokens(t *testing.T) {
	seen := map[activmail.Token]bool{}
	for range 100 {
		pull, device := activmail.NewPullToken(), activmail.NewDeviceToken()
		for _, tok := range []activmail.Token{pull, device} {
			if seen[tok] || len(tok) != 46 {
				t.Fatalf("%q comes twice or is no token", string(tok))
			}
			seen[tok] = true
		}
		if got, err := activmail.ParsePullToken(string(pull)); err != nil || got != pull {
			t.Errorf("the pull token comes back as %v (%v)", got, err)
		}
		if got, err := activmail.ParseDeviceToken(string(device)); err != nil || got != device {
			t.Errorf("the device token comes back as %v (%v)", got, err)
		}
		_, err := activmail.ParsePullToken(string(device))
		wantError(t, err, vam.Unauthenticated, "token-invalid")
		_, err = activmail.ParseDeviceToken(string(pull))
		wantError(t, err, vam.Unauthenticated, "token-invalid")
		if pull.Hash() == device.Hash() || pull.Hash() != activmail.TokenHash(pull) || pull.Hash().IsZero() {
			t.Error("the hash of a token is wrong")
		}
	}
}

func TestTokenForms(t *testing.T) {
	good := string(token(7))
	for name, bad := range map[string]string{
		"empty": "", "prefix alone": "vp_", "short": good[:45], "long": good + "A", "padded": good + "=", "line end inside": good[:20] + "\n" + good[20:], "line end behind": good + "\n",
		"blank before": " " + good, "other alphabet": good[:44] + "+A", "other prefix": "vx_" + good[3:], "prefix in upper case": "VP_" + good[3:], "unused bits": good[:45] + "B",
	} {
		if _, err := activmail.ParsePullToken(bad); err == nil {
			t.Errorf("%s: %q is taken", name, bad)
		} else {
			wantError(t, err, vam.Unauthenticated, "token-invalid")
			if len(bad) > 10 && strings.Contains(err.Error(), bad[3:]) {
				t.Errorf("%s: the error shows the token", name)
			}
		}
	}
}

// TestTokensDoNotShow: no way of printing or logging shows the secret (AM-9.5).
func TestTokensDoNotShow(t *testing.T) {
	type holder struct {
		Token activmail.Token
		List  []activmail.Token
	}
	tok := activmail.NewPullToken()
	secret := string(tok)[3:]
	h := holder{tok, []activmail.Token{tok}}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("token "+tok.String(), "token", tok, "group", slog.GroupValue(slog.Any("token", tok)))
	}
	for _, shown := range []string{tok.String(), fmt.Sprint(tok), fmt.Sprintf("%v %s %+v %#v %q", tok, tok, tok, tok, tok), fmt.Sprintf("%v %+v %#v", h, h, &h), log.String()} {
		if strings.Contains(shown, secret) || strings.Contains(shown, secret[:10]) {
			t.Errorf("the token shows in %s", shown)
		}
		if !strings.Contains(shown, "vp_…") {
			t.Errorf("%s does not say what it is", shown)
		}
	}
	for tok, want := range map[activmail.Token]string{"": "", "anything": "…", "vd_x": "vd_…"} {
		if tok.String() != want {
			t.Errorf("%q shows as %q", string(tok), tok)
		}
	}
}
