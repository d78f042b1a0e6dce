package server_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/colors"
	"github.com/watchword-auth/watchword/server"
)

// getAt sends a GET to a host.
func getAt(t *testing.T, h http.Handler, host, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Host = host
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	must(t, err)
	return string(text)
}

// newBrandedServer returns a server whose apps have brands, and the hosts of both.
func newBrandedServer(t *testing.T, bankURL string) *testServer {
	return newTestServer(t, serverOptions{
		engine: func(c *watchword.Config) { c.Name = map[string]string{"shop": "Northwind", "bank": "Fabrikam"}[c.App] },
		configure: func(c *server.Config) {
			c.Apps[0].Pages = server.Pages{Color: "#102030", URL: "https://www.shop.example.com/start"}
			c.Apps[1].Pages = server.Pages{Color: "#A01010"}
			c.Apps[1].PublicURL = bankURL
		}})
}

// Nothing on the page of an unknown id depends on the id, only on the host.
func TestPagesOfUnknownIDsShowTheAppAtTheirHost(t *testing.T) {
	ts := newBrandedServer(t, "https://bank.example.com")
	for _, c := range []struct{ host, shows, hides string }{
		{"shop.example.com", "Northwind", "Fabrikam"}, {"SHOP.example.com", "Northwind", "Fabrikam"}, {"bank.example.com", "Fabrikam", "Northwind"},
		{"other.example.com", "", "Northwind"}, {"shop.example.com.evil.example", "", "Northwind"},
	} {
		shells := map[string]bool{}
		for _, path := range []string{"/c/ch_x", "/c/" + strings.Repeat("a", 40), "/l/ch_x", "/v/vf_x"} {
			shell := readAll(t, getAt(t, ts.server, c.host, path).Body)
			if !strings.Contains(shell, c.shows) || strings.Contains(shell, c.hides) {
				t.Errorf("%s%s: %s", c.host, path, shell)
			}
			shells[regexp.MustCompile(`(?s)data-page.*`).ReplaceAllString(shell, "")] = true
		}
		if len(shells) != 1 {
			t.Errorf("%s: the heads of the shells differ", c.host)
		}
		part := readAll(t, getAt(t, ts.server, c.host, "/c/ch_x/state").Body)
		if !strings.Contains(part, c.shows) || strings.Contains(part, c.hides) {
			t.Errorf("%s: %s", c.host, part)
		}
		if leads := strings.Contains(part, "https://www.shop.example.com/start"); leads != (c.shows == "Northwind") {
			t.Errorf("%s: leads to the shop: %t", c.host, leads)
		}
	}
}

func TestPagesOfUnknownIDsShowNoAppAtASharedHost(t *testing.T) {
	ts := newBrandedServer(t, "https://shop.example.com")
	for _, path := range []string{"/c/ch_x", "/c/ch_x/state", "/l/ch_x"} {
		if got := readAll(t, getAt(t, ts.server, "shop.example.com", path).Body); strings.Contains(got, "Northwind") || strings.Contains(got, "Fabrikam") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

var stylesheet = regexp.MustCompile(`\.\./(pages/page\.[0-9a-f]{16}\.css)`)

func TestAssetsAreKeptByBrowsersAndCompressed(t *testing.T) {
	ts := newBrandedServer(t, "https://bank.example.com")
	styles := map[string]string{}
	for host, color := range map[string]string{"shop.example.com": "light-dark(#102030, ", "bank.example.com": "light-dark(#a01010, ", "other.example.com": "--button:#1f5fbf"} {
		path := "/" + stylesheet.FindStringSubmatch(readAll(t, getAt(t, ts.server, host, "/c/ch_x").Body))[1]
		plain := getAt(t, ts.server, host, path)
		styles[path] = readAll(t, plain.Body)
		if !strings.Contains(styles[path], color) {
			t.Errorf("%s: the stylesheet has not the color %s", host, color)
		}
		if got := plain.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" || plain.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: Cache-Control %q, Vary %q", host, got, plain.Header.Get("Vary"))
		}
		for accepted, want := range map[string]string{"gzip, br": "br", "BR;q=0, GZIP;q=0.5": "gzip", "gzip": "gzip", "gzip;q=0": "", "gzip;q=0.000, br": "br", "br;q=0": "", "identity": ""} {
			packed := getAt(t, ts.server, host, path, "Accept-Encoding", accepted)
			if got := packed.Header.Get("Content-Encoding"); got != want {
				t.Errorf("Accept-Encoding %q: Content-Encoding %q", accepted, got)
				continue
			}
			body := io.Reader(packed.Body)
			switch want {
			case "br":
				body = brotli.NewReader(packed.Body)
			case "gzip":
				unpacked, err := gzip.NewReader(packed.Body)
				must(t, err)
				body = unpacked
			}
			if readAll(t, body) != styles[path] {
				t.Errorf("Accept-Encoding %q: another stylesheet", accepted)
			}
		}
		// A server of another version has other names.
		for _, name := range []string{"/pages/page.0123456789abcdef.css", "/pages/page.css"} {
			other := getAt(t, ts.server, host, name)
			if readAll(t, other.Body) != styles[path] || other.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d, Cache-Control %q", name, other.StatusCode, other.Header.Get("Cache-Control"))
			}
		}
	}
	if len(styles) != 3 {
		t.Errorf("%d stylesheets of three brands", len(styles))
	}
	for _, path := range []string{"/pages/page.html", "/pages/text.en.json", "/pages/parts.html", "/pages/x.js", "/pages/"} {
		if got := getAt(t, ts.server, "shop.example.com", path).StatusCode; got != http.StatusNotFound {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// themeValue matches a color of a theme, in light and dark mode.
var themeValue = regexp.MustCompile(`--(button|button-ink|button-edge|ring): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);`)

func TestThemeHasContrastInBothSchemes(t *testing.T) {
	for _, p := range []server.Pages{{Color: "#000000"}, {Color: "#ffffff"}, {Color: "#FFE14D"}, {Color: "#111827"}, {Color: "#6d28d9", ColorDark: "#C4B5FD"}, {ColorDark: "#ffcc00"}} {
		s := newSite(t, siteOptions{pages: p})
		v := s.newPageClient()
		found := map[string][]string{}
		for _, match := range themeValue.FindAllStringSubmatch(v.get("/pages/page.css").text, -1) {
			found[match[1]] = match[2:]
		}
		for scheme, card := range []string{colors.Card, colors.CardDark} {
			if len(found) != 4 {
				t.Fatalf("%v: the theme is %v", p, found)
			}
			for name, c := range map[string]struct {
				background string
				least      float64
			}{"button-ink": {found["button"][scheme], 4.5}, "button-edge": {card, 3}, "ring": {card, 3}} {
				if got := colors.Contrast(found[name][scheme], c.background); got < c.least {
					t.Errorf("%v, scheme %d: --%s has a contrast of %.2f to %s", p, scheme, name, got, c.background)
				}
			}
		}
	}
}

// The contrasts are computed for the backgrounds that the stylesheet has.
func TestStylesheetHasTheBackgroundsOfTheContrastCheck(t *testing.T) {
	css, err := os.ReadFile("pages/page.css")
	must(t, err)
	if !strings.Contains(string(css), "--card: light-dark("+colors.Card+", "+colors.CardDark+");") {
		t.Error("--card has other colors")
	}
}

func TestPagesRefuseWhatPeopleCannotSee(t *testing.T) {
	svg, text := []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), []byte("not an image")
	for _, c := range []struct {
		pages server.Pages
		want  string
	}{
		{server.Pages{Color: "#fff"}, "Pages.Color: is not of the form #rrggbb"},
		{server.Pages{Color: "#6d28d9", ColorDark: "#6d28d9"}, "Pages.ColorDark: has a contrast of 2.4 to the dark background #191c22; the minimum is 3: choose a lighter color"},
		{server.Pages{ColorDark: "red"}, "Pages.ColorDark: is not of the form #rrggbb"},
		{server.Pages{LogoDark: svg}, "Pages.LogoDark: needs a logo for light mode"},
		{server.Pages{Logo: svg, LogoDark: text}, "Pages.LogoDark: is not a PNG, JPEG, GIF, WebP or SVG image"},
		{server.Pages{Logo: append(svg, make([]byte, 16<<10)...)}, "Pages.Logo: has 16425 bytes; the maximum is 16384"},
		{server.Pages{URL: "http://shop.example.com/"}, "Pages.URL: must be an absolute https URL without a user"},
		{server.Pages{URL: "javascript:alert(1)"}, "Pages.URL: must be an absolute https URL without a user"},
		{server.Pages{URL: "https://ada:secret@shop.example.com/"}, "Pages.URL: must be an absolute https URL without a user"},
		{server.Pages{URL: "//shop.example.com/"}, "Pages.URL: must be an absolute https URL without a user"},
		{server.Pages{Color: "#102030", ColorDark: "#a0b0c0", Logo: svg, LogoDark: svg, URL: "https://shop.example.com/"}, ""},
		{server.Pages{URL: "http://localhost:3000/"}, ""},
	} {
		got := ""
		if err := c.pages.Check(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestLogoHasAVariantForDarkMode(t *testing.T) {
	svg := func(color string) []byte {
		return []byte("<svg xmlns='http://www.w3.org/2000/svg' width='80' height='20'><rect width='80' height='20' fill='" + color + "'/></svg>")
	}
	both := newSite(t, siteOptions{pages: server.Pages{Logo: svg("black"), LogoDark: svg("white")}})
	one := newSite(t, siteOptions{pages: server.Pages{Logo: svg("black")}})
	whole := regexp.MustCompile(`<picture><source srcset="data:image/svg\+xml;base64,[A-Za-z0-9+/=]+" media="\(prefers-color-scheme: dark\)"><img src="data:image/svg\+xml;base64,[A-Za-z0-9+/=]+" alt="Example Shop"></picture>`)
	plate := regexp.MustCompile(`<picture><img class="plate" src="data:image/svg\+xml;base64,[A-Za-z0-9+/=]+" alt="Example Shop"></picture>`)
	for _, c := range []struct {
		s    *site
		want *regexp.Regexp
	}{{both, whole}, {one, plate}} {
		v := c.s.newPageClient()
		for _, got := range []string{v.get("/c/ch_x").text, v.get("/c/ch_x/state").html} {
			if !c.want.MatchString(strings.ReplaceAll(got, "&#43;", "+")) {
				t.Errorf("no %s in %s", c.want, got)
			}
		}
	}
}
