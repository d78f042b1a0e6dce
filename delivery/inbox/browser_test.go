package inbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/inbox"
)

// A mail's script does not run, neither in its frame nor in a tab of its own. The page shows a new message without a manual reload.
func TestPageRunsNoScriptOfMailInBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("Chromium is not installed: apt-get install chromium")
	}
	const attack = `<script>new Image().src='/pwned'; top.location='/pwned'</script><img src="/pwned"><img src=x onerror="location='/pwned'">` +
		`<body onload="location='/pwned'"><form action=/pwned></form><script>document.forms[0].submit()</script><meta http-equiv=refresh content="0;url=/pwned"><p id=end>end</p>`
	box := new(inbox.Inbox)
	sender := open(t, box)
	send(t, sender, watchword.Message{Channel: "email", To: "ada@example.com", Title: attack, Text: attack, HTML: attack})

	var pwned atomic.Int32
	pages := box.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pwned" {
			pwned.Add(1)
		}
		pages.ServeHTTP(w, r)
	}))
	defer server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir())))
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/inbox"), chromedp.WaitVisible(chromedp.CSS("iframe"))); err != nil {
		t.Fatal(err)
	}
	send(t, sender, watchword.Message{Channel: "sms", To: "+14155550123", Text: "the second"})
	if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS("article.sms"))); err != nil {
		t.Errorf("the second message did not appear: %v", err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/inbox/mail/1"), chromedp.WaitReady(chromedp.ID("end"))); err != nil {
		t.Error(err)
	}
	if n := pwned.Load(); n != 0 {
		t.Errorf("the mail made %d requests", n)
	}
}
