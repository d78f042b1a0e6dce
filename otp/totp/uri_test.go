package totp

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"image"
	"image/color"
	_ "image/png"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	lib "github.com/pquerna/otp"
	libtotp "github.com/pquerna/otp/totp"
	"github.com/watchword-auth/watchword"
)

// readQR decodes a QR code with an independent implementation.
func readQR(t *testing.T, img image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	// The image contains the code only, without a border to find it by.
	pure := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true}
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, pure)
	if err != nil {
		t.Fatalf("the QR code does not scan: %v", err)
	}
	return read.GetText()
}

// The QR code contains the URI, and two independent parsers of the URI generate accepted codes.
func TestOtpauthURIIsReadByTwoApps(t *testing.T) {
	for _, settings := range []Config{{}, {Algorithm: SHA256, Digits: 8, Period: time.Minute}, {Algorithm: SHA512, Digits: 7}} {
		k := newKit(t, func(c *Config, _ *watchword.Config) {
			c.Algorithm, c.Digits, c.Period = settings.Algorithm, settings.Digits, settings.Period
		})
		s := k.start(watchword.StartRequest{Strategy: "totp", Purpose: watchword.PurposeEnrol, Subject: "user_42",
			Metadata: map[string]string{"account": "alice+home@example.com"}})
		if s.Ask != watchword.AskScan {
			t.Errorf("asks %q", s.Ask)
		}
		png, ok := strings.CutPrefix(s.Public["qr"].(string), "data:image/png;base64,")
		if !ok {
			t.Fatal("qr is no data URI of a PNG")
		}
		raw, err := base64.StdEncoding.DecodeString(png)
		if err != nil {
			t.Fatal(err)
		}
		img, _, err := image.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		uri := readQR(t, img)
		if uri != s.Public["uri"] {
			t.Fatalf("scanned %q, shown %q", uri, s.Public["uri"])
		}
		code := libraryCode(t, uri, k.time())
		if own := parseURI(t, uri).codeAt(k.time()); own != code {
			t.Fatalf("two apps show %s and %s", code, own)
		}
		if _, err := k.answer(s.ID, "user_42", watchword.PurposeEnrol, code); err != nil {
			t.Fatalf("%+v: the code of the apps: %v", settings, err)
		}
	}
}

// libraryCode returns the code that pquerna/otp generates for a URI.
func libraryCode(t *testing.T, uri string, now time.Time) string {
	t.Helper()
	key, err := lib.NewKeyFromURL(uri)
	if err != nil {
		t.Fatal(err)
	}
	if key.Issuer() != "AT&T: Ünï" {
		t.Errorf("one app shows the issuer %q", key.Issuer())
	}
	code, err := libtotp.GenerateCodeCustom(key.Secret(), now, libtotp.ValidateOpts{Period: uint(key.Period()), Digits: key.Digits(), Algorithm: key.Algorithm()})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// parseURI reads a URI by the letter of the Key URI Format: split first, then unescape.
func parseURI(t *testing.T, uri string) *device {
	t.Helper()
	rest, ok := strings.CutPrefix(uri, "otpauth://totp/")
	label, query, ok2 := strings.Cut(rest, "?")
	before, after, ok3 := strings.Cut(label, ":")
	if !ok || !ok2 || !ok3 || strings.ContainsAny(uri, "+ ") {
		t.Fatalf("no Key URI: %s", uri)
	}
	issuer, err := url.PathUnescape(before)
	account, err2 := url.PathUnescape(after)
	if err != nil || err2 != nil || issuer != "AT&T: Ünï" || account != "alice+home@example.com" {
		t.Fatalf("the label is %q and %q", issuer, account)
	}
	get := map[string]string{}
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if get[name], err = url.PathUnescape(value); err != nil {
			t.Fatal(err)
		}
	}
	if get["issuer"] != issuer || strings.Contains(get["secret"], "=") {
		t.Fatalf("the parameters say issuer %q and secret of %d characters", get["issuer"], len(get["secret"]))
	}
	digits, err := strconv.Atoi(get["digits"])
	period, err2 := strconv.Atoi(get["period"])
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return &device{secret: get["secret"], algorithm: Algorithm(get["algorithm"]), digits: digits, period: time.Duration(period) * time.Second}
}

// The test renders the SVG's squares and decodes the image.
func TestSVGDrawsTheSameModulesAsPNG(t *testing.T) {
	const text = "otpauth://totp/Shop:alice?secret=GEZDGNBVGY3TQOJQ"
	drawn, err := SVG(text)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Box   string `xml:"viewBox,attr"`
		Paths []struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal([]byte(drawn), &doc); err != nil {
		t.Fatal(err)
	}
	side, err := strconv.Atoi(strings.Fields(doc.Box)[2])
	if err != nil {
		t.Fatal(err)
	}
	const scale = 5
	img := image.NewGray(image.Rect(0, 0, side*scale, side*scale))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for _, square := range strings.Split(strings.TrimPrefix(doc.Paths[1].D, "M"), "M") {
		x, y, _ := strings.Cut(strings.TrimSuffix(square, "h1v1h-1z"), " ")
		left, err := strconv.Atoi(x)
		top, err2 := strconv.Atoi(y)
		if err != nil || err2 != nil {
			t.Fatalf("no square: %q", square)
		}
		for i := range scale * scale {
			img.SetGray(left*scale+i%scale, top*scale+i/scale, color.Gray{})
		}
	}
	if got := readQR(t, img); got != text {
		t.Errorf("the SVG contains %q", got)
	}
}

func TestQRErrorDoesNotRepeatTheSecret(t *testing.T) {
	_, err := PNG(strings.Repeat("SECRET", 1000))
	if err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("too much text: %v", err)
	}
	if _, err := SVG(strings.Repeat("x", 5000)); err == nil {
		t.Error("too much text for an SVG is no error")
	}
}
