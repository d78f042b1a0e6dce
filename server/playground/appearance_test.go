package playground_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword/internal/axetest"
)

// testAccessibility checks the states of the page with axe-core, in light and dark. If WATCHWORD_SHOTS is the path of a folder, it
// writes screenshots there.
func testAccessibility(p *tab) {
	axe := axetest.Source(p.t)
	if axe != "" {
		p.evaluate(`(() => { ` + axe + ` })()`)
	}
	p.checkStates("start", axe != "")
	p.press("Code by email")
	p.waitUntil(`document.querySelector(".message pre")`)
	p.do(chromedp.SendKeys(chromedp.CSS("#code"), "12\r"))
	p.waitUntil(`document.querySelector("#step .error")`)
	p.checkStates("code", axe != "")
	p.press("Authenticator app")
	p.waitHeading("Add an authenticator app")
	p.waitUntil(`document.querySelector(".message button")`)
	p.checkStates("app", axe != "")
	p.press("Recovery codes")
	p.waitHeading("Save these codes")
	p.checkStates("codes", axe != "")
	p.press("Several methods")
	p.waitHeading("Choose how to answer")
	p.checkStates("methods", axe != "")
	p.press("Link by email")
	p.waitHeading("Open the link")
	p.waitUntil(`document.querySelector(".message a.button")`)
	p.checkStates("link", axe != "")
	p.press("Payment")
	p.press("Use code")
	p.claims()
	p.press("Redeem it")
	p.waitUntil(`document.querySelector("#receipt [role=status]")`)
	p.evaluate(`document.querySelectorAll("#events details, #requests details").forEach(one => { one.open = true })`)
	p.checkStates("receipt", axe != "")
}

func (p *tab) checkStates(name string, axe bool) {
	p.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		params := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, params); err != nil {
			p.t.Fatal(err)
		}
		for device, width := range map[string]int64{"phone": 390, "desktop": 1280} {
			p.do(chromedp.EmulateViewport(width, 860))
			if p.evaluate("document.documentElement.scrollWidth > innerWidth") == "true" {
				p.t.Errorf("%s, %s: the page is wider than the screen", name, device)
			}
			p.shoot(fmt.Sprint("playground-", name, "-", device, "-", scheme))
		}
		if !axe {
			continue
		}
		p.do(chromedp.EmulateViewport(1280, 860))
		var violations []string
		if err := json.Unmarshal([]byte(p.evaluate("await "+axetest.Check)), &violations); err != nil {
			p.t.Fatal(err)
		}
		for _, v := range violations {
			p.t.Errorf("%s, %s: %s", name, scheme, v)
		}
	}
}

func (p *tab) shoot(name string) {
	folder := os.Getenv("WATCHWORD_SHOTS")
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
