package totp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"

	"github.com/skip2/go-qrcode"
)

// pixelsPerModule is the size of a QR module in a PNG; a camera can read it from a screen.
const pixelsPerModule = 8

// PNG returns a PNG image of text, usually an otpauth:// URI, as a QR code with the white border that scanners need.
func PNG(text string) ([]byte, error) {
	modules, err := encodeQR(text)
	if err != nil {
		return nil, err
	}
	side := len(modules) * pixelsPerModule
	img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for i := range img.Pix {
		if modules[i/side/pixelsPerModule][i%side/pixelsPerModule] {
			img.Pix[i] = 1
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("totp: QR code: %w", err)
	}
	return b.Bytes(), nil
}

// SVG returns the same QR code as an SVG document, which may also be embedded in an HTML page.
func SVG(text string) (string, error) {
	modules, err := encodeQR(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[1]d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%[1]dv%[1]dH0z"/><path d="`, len(modules))
	for y, row := range modules {
		for x, dark := range row {
			if dark {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String(), nil
}

// encodeDataURI returns the PNG as a data: URI.
func encodeDataURI(text string) (string, error) {
	img, err := PNG(text)
	if err != nil {
		return "", err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(img), nil
}

// encodeQR returns the rows of a QR code, true for black, with 15 % error correction and the white border. The error does not
// contain the text, which is secret.
func encodeQR(text string) ([][]bool, error) {
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return nil, fmt.Errorf("totp: %d bytes do not fit into a QR code", len(text))
	}
	return code.Bitmap(), nil
}
