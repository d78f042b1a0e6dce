package delivery

import (
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/colors"
)

func TestMailConfigAcceptsPublicImagesAsLogoOnly(t *testing.T) {
	for logo, want := range map[string]bool{
		"": true, "https://cdn.shop.example/mail/logo@2x.png": true, "https://xn--bcher-kva.example/logo": true,
		"http://cdn.shop.example/logo.png": false, "https://localhost/logo.png": false, "https://cdn/logo.png": false, "https://192.0.2.1/logo.png": false,
		"https://[2001:db8::1]/logo.png": false, "https://cdn.shop.example:8443/logo.png": false, "https://user@cdn.shop.example/logo.png": false,
		"https://cdn.shop.example/logo.png?key=1": false, "https://cdn.shop.example/logo.png?": false, "https://cdn.shop.example/logo.png#a": false,
		"https://cdn.shop.example/logo.png#": false, "https://cdn.shop.example/a b.png": false, `https://cdn.shop.example/"onload="x`: false,
		"data:image/png;base64,AAAA": false, "logo.png": false, "//cdn.shop.example/logo.png": false, "javascript:alert(1)": false,
		"https://cdn.shop.example/" + strings.Repeat("a", 200): false,
	} {
		if _, err := (MailConfig{Logo: logo}).newBrand(); (err == nil) != want {
			t.Errorf("%q: %v", logo, err)
		}
	}
}

func TestMailConfigRefusesColorsInOtherForms(t *testing.T) {
	for _, color := range []string{"red", "#fff", "6d28d9", "#6d28d9;background:url(x)", "#6d28dg"} {
		if _, err := (MailConfig{Color: color}).newBrand(); err == nil || !strings.HasPrefix(err.Error(), "Mail.Color: ") {
			t.Errorf("%q: %v", color, err)
		}
	}
}

func TestMailConfigRefusesColorsThatAreTooDarkInDarkMails(t *testing.T) {
	for _, color := range []string{"#111827", "#000000", "#1f3a8a", "navy"} {
		if _, err := (MailConfig{ColorDark: color}).newBrand(); err == nil || !strings.HasPrefix(err.Error(), "Mail.ColorDark: ") {
			t.Errorf("%q: %v", color, err)
		}
	}
	b, err := MailConfig{Color: "#111827", ColorDark: "#C4B5FD"}.newBrand()
	if err != nil || b.Color != "#111827" || b.ColorDark != "#c4b5fd" || b.InkDark != colors.Black {
		t.Errorf("%+v %v", b, err)
	}
}

// Every color is readable in both schemes, and shows where the button is.
func TestMailButtonHasContrastInBothSchemes(t *testing.T) {
	for _, color := range []string{"", "#000000", "#ffffff", "#6d28d9", "#111827", "#FFE14D", "#767676", "#00ff00", "#ff0000", "#0000ff"} {
		b, err := MailConfig{Color: color}.newBrand()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			what, a, b string
			least      float64
		}{{"text", b.Ink, b.Color, 4.5}, {"text in the dark", b.InkDark, b.ColorDark, 4.5}, {"edge", b.Edge, colors.Card, 3}, {"color in the dark", b.ColorDark, colors.CardDark, 3}} {
			if contrast := colors.Contrast(c.a, c.b); contrast < c.least {
				t.Errorf("%q: %s has a contrast of %.2f", color, c.what, contrast)
			}
		}
	}
}
