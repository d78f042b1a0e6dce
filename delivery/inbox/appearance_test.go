package inbox_test

import (
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/axetest"
)

// testAccessibility checks list and reader with axe-core in light and dark, on phones and desktops. If WATCHWORD_SHOTS is the path of a
// folder, it writes screenshots there.
func testAccessibility(p *tab) {
	p.sendSamples()
	axe := axetest.Source(p.t)
	pages, _ := url.Parse(p.url)
	server := httptest.NewServer(withoutSandbox(httputil.NewSingleHostReverseProxy(pages)))
	p.t.Cleanup(server.Close)
	p.url = server.URL
	for _, scheme := range []string{"light", "dark"} {
		p.setScheme(scheme)
		for _, state := range []struct{ name, query string }{{"list", ""}, {"none", "?q=nothing"}, {"sms", "?m=1"}, {"whatsapp", "?m=2"}, {"voice", "?m=3"}, {"code", "?m=4"}, {"link", "?m=5"}} {
			for name, width := range map[string]int64{"phone": 390, "desktop": 1280} {
				p.do(chromedp.EmulateViewport(width, 860), chromedp.Navigate(p.url+"/inbox"+state.query))
				p.waitUntil(`document.querySelector("time, .empty").innerText.includes("ago") || location.search === "?q=nothing" || document.body.className === "reading"`)
				p.shoot(fmt.Sprint(state.name, "-", name, "-", scheme))
				if p.evaluate("document.documentElement.scrollWidth > innerWidth") == "true" {
					p.t.Errorf("%s, %s: the page is wider than the screen", state.name, name)
				}
				if axe == "" || name == "phone" && state.name != "list" && state.name != "link" {
					continue
				}
				where := fmt.Sprint(state.name, ", ", name, ", ", scheme)
				requireNoViolations(p.t, where, p.evaluate(`await (() => { `+axe+`; return `+axetest.Check+` })()`))
				if state.name == "code" || state.name == "link" {
					p.waitUntil(`document.querySelector("iframe").parentElement.className.includes("` + scheme + `")`)
					p.checkMail(axe, where)
				}
			}
		}
	}
}

func (p *tab) shoot(name string) {
	folder := os.Getenv("WATCHWORD_SHOTS")
	if folder == "" {
		return
	}
	time.Sleep(200 * time.Millisecond) // for the frame
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "inbox-"+name+".png"), picture, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
