package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/watchword-auth/watchword/internal/colors"
	"github.com/watchword-auth/watchword/internal/setting"
)

// Pages holds the settings of an app's hosted pages. The zero value shows the app's name and the default colors.
type Pages struct {
	// Color is the color of buttons, as #rrggbb. Their text is black or white, whichever has the higher contrast.
	Color string
	// Logo is an image that replaces the app's name: PNG, JPEG, GIF, WebP or SVG, at most 16 KiB. The page embeds it.
	Logo []byte
	// ButtonConfirms lets people confirm a link by a button alone, without the number of the starting screen. It must agree
	// with the configuration of the magiclink strategy; if it does not, links are rejected.
	ButtonConfirms bool
}

const maxLogo = 16 << 10

// appPages are the prepared settings of Pages.
type appPages struct {
	theme          map[string]string
	logo           template.URL
	buttonConfirms bool
	streams        chan struct{} // holds one element for each open event stream
}

// maxStreams bounds the event streams of one app. Further browsers connect again later.
const maxStreams = 1000

// Check returns an error that lists all invalid settings. New calls it.
func (p Pages) Check() error {
	_, errColor := p.buttonColors()
	_, errLogo := p.logoURL()
	return errors.Join(errColor, errLogo)
}

// prepare expects settings that Check accepts.
func (p Pages) prepare() appPages {
	theme, _ := p.buttonColors()
	logo, _ := p.logoURL()
	return appPages{theme: theme, logo: logo, buttonConfirms: p.ButtonConfirms, streams: make(chan struct{}, maxStreams)}
}

func (p Pages) buttonColors() (map[string]string, error) {
	if p.Color == "" {
		return nil, nil
	}
	if !colors.Valid(p.Color) {
		return nil, setting.Errorf("Pages.Color", "is not of the form #rrggbb")
	}
	return map[string]string{"--button": strings.ToLower(p.Color), "--button-ink": colors.Ink(p.Color)}, nil
}

func (p Pages) logoURL() (template.URL, error) {
	if len(p.Logo) == 0 {
		return "", nil
	}
	if len(p.Logo) > maxLogo {
		return "", setting.Errorf("Pages.Logo", "has %d bytes; the maximum is %d", len(p.Logo), maxLogo)
	}
	kind := http.DetectContentType(p.Logo)
	if bytes.HasPrefix(bytes.TrimSpace(p.Logo), []byte("<svg")) {
		kind = "image/svg+xml" // in an img element it runs no script and loads nothing
	}
	switch kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml":
		return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(p.Logo)), nil
	}
	return "", setting.Errorf("Pages.Logo", "is not a PNG, JPEG, GIF, WebP or SVG image")
}
