package delivery

import (
	"errors"
	htmltemplate "html/template"
	"net/netip"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/colors"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/setting"
)

// A MailConfig configures how mails look. The zero value shows the app's name and the default color.
type MailConfig struct {
	// Color is the color of the button, as #rrggbb. Its text is black or white, whichever has the higher contrast. Where the
	// contrast of the color to the mail's background is below 3, the button has an edge or, in a dark mail, a lighter color.
	Color string
	// Logo is the URL of an image that stands for the app's name: https, with a public host and without user, password, port,
	// query or fragment, at most 200 bytes. Mail programs load it when a mail is opened, so its host sees that.
	Logo string
	// CodeInSubject puts the code into the subject of mails, where phones show it on locked screens. Without it the code is in
	// neither the subject nor the preview.
	CodeInSubject bool
}

const (
	defaultMailColor = "#1f5fbf"
	mailCard         = "#ffffff" // the background of mails, as the layout has it,
	mailCardDark     = "#191c22" // and in the dark
	mailEdge         = "#767b85" // of a button whose color is too close to mailCard
	minContrast      = 3         // of a button to its background (WCAG 2.2, 1.4.11)
	maxLogoURL       = 200
)

// A brand is the part of an app's appearance that mails show. The colors are of the form #rrggbb.
type brand struct {
	Logo      string // the URL of an image; empty: the app's name is shown
	Color     string // of the button,
	Ink       string // of its text
	Edge      string // and of its border
	ColorDark string // the same in the dark
	InkDark   string
}

// newBrand returns an error that names the invalid settings.
func (c MailConfig) newBrand() (brand, error) {
	color := c.Color
	if color == "" {
		color = defaultMailColor
	}
	var errColor, errLogo error
	if !colors.Valid(color) {
		errColor = setting.Errorf("Mail.Color", "is not of the form #rrggbb")
	}
	if !isPublicImage(c.Logo) {
		errLogo = setting.Errorf("Mail.Logo", "is not an https URL of a public host, without port, query and fragment, of at most %d bytes", maxLogoURL)
	}
	if err := errors.Join(errColor, errLogo); err != nil {
		return brand{}, err
	}
	color = strings.ToLower(color)
	dark := colors.Lighten(color, mailCardDark, minContrast)
	b := brand{Logo: c.Logo, Color: color, Ink: colors.Ink(color), Edge: color, ColorDark: dark, InkDark: colors.Ink(dark)}
	if colors.Contrast(color, mailCard) < minContrast {
		b.Edge = mailEdge
	}
	return b, nil
}

// isPublicImage reports whether a URL is empty or one of Logo.
func isPublicImage(text string) bool {
	if text == "" {
		return true
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > maxLogoURL || !isPlainLink(text) || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.HasSuffix(text, "#") || u.Host != u.Hostname() {
		return false
	}
	_, errAddress := netip.ParseAddr(u.Host)
	return hosts.CheckHost(u.Host) == nil && errAddress != nil && strings.Contains(u.Host, ".") && !hosts.IsLoopback(u.Host)
}

// layoutFunctions are the functions of templates.
func layoutFunctions() map[string]any {
	return map[string]any{
		// outlook returns HTML that Outlook for Windows alone reads. It needs a table of fixed width, because it ignores max-width.
		// html/template removes comments from templates.
		"outlook": func(html htmltemplate.HTML) htmltemplate.HTML { return "<!--[if mso]>" + html + "<![endif]-->" },
		// blanks returns n invisible characters between which a line can break.
		"blanks": func(n int) string { return strings.Repeat("\u034f\u2007", n) },
	}
}
