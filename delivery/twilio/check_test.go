package twilio_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/delivery"
)

// Check signs in and sends nothing.
func TestCheckReadsOneMessage(t *testing.T) {
	f := startFakeTwilio(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "PageSize=1" {
			t.Errorf("query %q", r.URL.RawQuery)
		}
		_, _ = io.WriteString(w, `{"messages": []}`)
	})
	if err := delivery.CheckSender(t.Context(), f.open(t, "from=%2B14155550100")); err != nil {
		t.Error(err)
	}
	if len(f.paths) != 1 || f.paths[0] != "GET /2010-04-01/Accounts/AC1/Messages.json" {
		t.Errorf("requests %q", f.paths)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	f := startFakeTwilio(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	sender := f.open(t, "from=%2B14155550100")
	if err := delivery.CheckSender(t.Context(), sender); err == nil || !strings.Contains(err.Error(), "answered 503") {
		t.Errorf("down: %v", err)
	}
	f.user = "AC2" // the credentials are no longer right
	if err := delivery.CheckSender(t.Context(), sender); err == nil || !strings.Contains(err.Error(), "answered 401") {
		t.Errorf("login: %v", err)
	}
	f.Close()
	if err := delivery.CheckSender(t.Context(), sender); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("dead: %v", err)
	}
}
