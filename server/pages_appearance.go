package server

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/colors"
	"github.com/watchword-auth/watchword/internal/setting"
)

// Pages holds the settings of an app's hosted pages. The zero value shows the app's name and the default colors.
type Pages struct {
	// Color is the color of buttons, as #rrggbb. Their text is black or white, whichever has the higher contrast. Where the
	// contrast of the color to the page is below 3, buttons have an edge.
	Color string
	// ColorDark is Color in dark mode; its contrast to #191c22 is 3 at least. The zero value stands for Color, lightened until it
	// has that contrast.
	ColorDark string
	// Logo is an image that replaces the app's name: PNG, JPEG, GIF, WebP or SVG, at most 16 KiB. The page embeds it.
	Logo []byte
	// LogoDark is Logo in dark mode. Without it, Logo has a white background there.
	LogoDark []byte
	// URL is the address of the app, to which pages lead that know no other, such as the page of a used link: https, or http on a
	// loopback host. The zero value leads nowhere.
	URL string
	// Texts are the texts of the pages. The zero value stands for the built-in texts.
	Texts *Translations
	// ButtonConfirms lets people confirm a link by a button alone, without the number of the starting screen. It must agree
	// with the configuration of the magiclink strategy; if it does not, links are rejected.
	ButtonConfirms bool
}

const maxLogo = 16 << 10

// appPages are the prepared settings of Pages.
type appPages struct {
	brand          brand
	texts          *Translations
	assets         *pageAssets
	buttonConfirms bool
	streams        chan struct{} // holds one element for each open event stream
}

// maxStreams bounds the event streams of one app. Further browsers connect again later.
const maxStreams = 1000

// A brand is what a page shows of an app. A page that does not know its app has the zero value.
type brand struct {
	App      string
	Logo     template.URL
	LogoDark template.Srcset // empty: Logo is shown in dark mode too
	Home     template.URL    // the address of the app
	Embedded bool            // the part is shown by an element, on a page of the app that has its name and logo already
	theme    map[string]string
}

// brandOf returns the brand of an app for the parts of a response.
func (x *exchange) brandOf(a *app) brand {
	b := a.pages.brand
	b.Embedded = x.embedded
	return b
}

// Check returns an error that lists all invalid settings. New calls it.
func (p Pages) Check() error {
	var problems []error
	add := func(field string, err error) {
		if err != nil {
			problems = append(problems, setting.Errorf("Pages."+field, "%w", err))
		}
	}
	add("Color", colors.Check(p.Color))
	add("ColorDark", colors.CheckDark(p.ColorDark))
	_, err := encodeLogo(p.Logo)
	add("Logo", err)
	_, err = encodeLogo(p.LogoDark)
	add("LogoDark", err)
	if len(p.LogoDark) > 0 && len(p.Logo) == 0 {
		add("LogoDark", errors.New("needs a logo for light mode"))
	}
	add("URL", checkHomeURL(p.URL))
	return errors.Join(problems...)
}

// prepare expects settings that Check accepts. The page server adds what all apps share: built-in texts and assets.
func (p Pages) prepare(name string) appPages {
	logo, _ := encodeLogo(p.Logo)
	dark, _ := encodeLogo(p.LogoDark)
	b := brand{App: name, Logo: template.URL(logo), LogoDark: template.Srcset(dark), Home: template.URL(p.URL), theme: p.theme()}
	return appPages{brand: b, texts: p.Texts, buttonConfirms: p.ButtonConfirms, streams: make(chan struct{}, maxStreams)}
}

// defaultColor is the color of buttons in page.css.
const defaultColor = "#1f5fbf"

// theme returns the CSS variables of the app's colors; page.css has the default ones.
func (p Pages) theme() map[string]string {
	if p.Color == "" && p.ColorDark == "" {
		return nil
	}
	b := colors.NewButton(strings.ToLower(cmp.Or(p.Color, defaultColor)), strings.ToLower(p.ColorDark))
	both := func(light, dark string) string { return "light-dark(" + light + ", " + dark + ")" }
	return map[string]string{"--button": both(b.Color, b.ColorDark), "--button-ink": both(b.Ink, b.InkDark), "--button-edge": both(b.Edge, b.ColorDark),
		"--ring": both(b.Edge, b.ColorDark)}
}

// checkHomeURL checks that a text is empty or an address to which a page may lead.
func checkHomeURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackHost(u.Host)) {
		return errors.New("must be an absolute https URL without a user")
	}
	return nil
}

// encodeLogo returns an image as a data URL, empty if there is no image.
func encodeLogo(image []byte) (string, error) {
	if len(image) == 0 {
		return "", nil
	}
	if len(image) > maxLogo {
		return "", fmt.Errorf("has %d bytes; the maximum is %d", len(image), maxLogo)
	}
	kind := http.DetectContentType(image)
	if bytes.HasPrefix(bytes.TrimSpace(image), []byte("<svg")) {
		kind = "image/svg+xml" // in an img element it runs no script and loads nothing
	}
	switch kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml":
		return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(image), nil
	}
	return "", errors.New("is not a PNG, JPEG, GIF, WebP or SVG image")
}
