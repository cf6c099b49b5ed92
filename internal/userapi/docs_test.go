package userapi_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/userapi"
	"github.com/videoactivmail/vam/internal/userwire"
)

// page is docs/api.md, which people write programs by.
func page(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryRouteIsInThePage(t *testing.T) {
	text := page(t)
	routes := userapi.Routes()
	if len(routes) < 20 {
		t.Fatalf("there are only %d routes: %v", len(routes), routes)
	}
	for _, r := range routes {
		if !strings.Contains(text, "| `"+r+"` |") {
			t.Errorf("docs/api.md has no row for %s", r)
		}
	}
	// And nothing that is not there.
	for line := range strings.Lines(text) {
		row, ok := strings.CutPrefix(line, "| `")
		name, _, _ := strings.Cut(row, "`")
		if !ok || !strings.Contains(name, " /") {
			continue
		}
		found := false
		for _, r := range routes {
			found = found || r == name
		}
		if !found {
			t.Errorf("docs/api.md describes %s, which is not answered", name)
		}
	}
}

func TestEveryMemberIsInThePage(t *testing.T) {
	text := page(t)
	for _, v := range []any{
		userwire.Me{},
		userwire.Limits{},
		userwire.Draft{},
		userwire.Piece{},
		userwire.Have{},
		userwire.Missing{},
		userwire.Seal{},
		userwire.Decline{},
		userwire.Message{},
		userwire.Recipient{},
		userwire.Entry{},
		userwire.Entries{},
		userwire.LinkTerms{},
		userwire.Link{},
		userwire.Links{},
		userwire.Contact{},
		userwire.Contacts{},
	} {
		for f := range reflect.TypeOf(v).Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(text, "`"+key+"`") && !strings.Contains(text, `"`+key+`"`) {
				t.Errorf("docs/api.md does not explain %q of %T", key, v)
			}
		}
	}
}
