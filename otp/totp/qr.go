package totp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"

	"github.com/boombuler/barcode/qr"
)

const (
	quiet  = 4 // modules of white around the code (ISO/IEC 18004 §9.1)
	pixels = 6 // of a PNG to a module
)

// PNG draws a text, an otpauth:// URI usually, as a QR code.
func PNG(text string) ([]byte, error) {
	m, err := newModules(text)
	if err != nil {
		return nil, err
	}
	side := m.side() * pixels
	img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if m.dark(x/pixels, y/pixels) {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("totp: QR code: %w", err)
	}
	return b.Bytes(), nil
}

// SVG draws the same as an image that scales: a document of its own, which may also stand inside a page.
func SVG(text string) (string, error) {
	m, err := newModules(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path d="`, m.side())
	for y := range m.side() {
		for x := range m.side() {
			if m.dark(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String(), nil
}

// dataURI is the PNG as an image's address.
func dataURI(text string) (string, error) {
	img, err := PNG(text)
	if err != nil {
		return "", err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(img), nil
}

// modules are the squares of a QR code, the white around it included.
type modules struct{ image.Image }

// newModules encodes with 15 % error correction. The error does not repeat the text, which is a secret.
func newModules(text string) (modules, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return modules{}, fmt.Errorf("totp: %d bytes do not fit into a QR code", len(text))
	}
	return modules{code}, nil
}

func (m modules) side() int { return m.Bounds().Dx() + 2*quiet }

func (m modules) dark(x, y int) bool {
	at := image.Pt(x-quiet, y-quiet)
	return at.In(m.Bounds()) && m.At(at.X, at.Y) == color.Black
}
