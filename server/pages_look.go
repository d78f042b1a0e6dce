package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"html/template"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/setting"
)

// Pages says how an app's hosted pages look, and what they ask for. The zero value shows the app's name.
type Pages struct {
	// Color is that of buttons, as #rrggbb. The text on them is black or white, whichever is easier to read.
	Color string
	// Logo is a picture in place of the app's name: PNG, JPEG, GIF, WebP or SVG, at most 16 KiB. It stands in the page.
	Logo []byte
	// PressConfirms: a link is confirmed by a press alone, without the number of the starting screen. It must say what
	// the strategy says that makes the links; where it does not, links are refused, never confirmed too easily.
	PressConfirms bool
}

const maxLogo = 16 << 10

// appPages is what is made of Pages.
type appPages struct {
	theme         map[string]string
	logo          template.URL
	pressConfirms bool
	streams       chan struct{} // holds one element for each browser that listens for events
}

// maxStreams bounds how many browsers of one app listen at the same time. Others ask again later.
const maxStreams = 1000

// Check reports everything that is wrong with the settings, as New does.
func (p Pages) Check() error {
	_, errColor := p.colors()
	_, errLogo := p.picture()
	return errors.Join(errColor, errLogo)
}

// prepare expects settings without problems.
func (p Pages) prepare() appPages {
	theme, _ := p.colors()
	logo, _ := p.picture()
	return appPages{theme: theme, logo: logo, pressConfirms: p.PressConfirms, streams: make(chan struct{}, maxStreams)}
}

var colorPattern = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

func (p Pages) colors() (map[string]string, error) {
	if p.Color == "" {
		return nil, nil
	}
	if !colorPattern.MatchString(p.Color) {
		return nil, setting.Errorf("Pages.Color", "is not of the form #rrggbb")
	}
	ink := "#ffffff"
	if dark := luminance(p.Color) + 0.05; dark/0.05 > 1.05/dark {
		ink = "#000000"
	}
	return map[string]string{"--button": strings.ToLower(p.Color), "--button-ink": ink}, nil
}

// luminance is WCAG 2's relative luminance. Against it one of black and white has a contrast of 4.5 and more.
func luminance(color string) float64 {
	sum := 0.0
	for n, weight := range []float64{0.2126, 0.7152, 0.0722} {
		value, _ := strconv.ParseUint(color[1+2*n:3+2*n], 16, 8)
		c := float64(value) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func (p Pages) picture() (template.URL, error) {
	if len(p.Logo) == 0 {
		return "", nil
	}
	if len(p.Logo) > maxLogo {
		return "", setting.Errorf("Pages.Logo", "has %d bytes; at most %d stand in a page", len(p.Logo), maxLogo)
	}
	kind := http.DetectContentType(p.Logo)
	if bytes.HasPrefix(bytes.TrimSpace(p.Logo), []byte("<svg")) {
		kind = "image/svg+xml" // in an img element it runs no script and loads nothing
	}
	switch kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml":
		return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(p.Logo)), nil
	}
	return "", setting.Errorf("Pages.Logo", "is no PNG, JPEG, GIF, WebP or SVG")
}
