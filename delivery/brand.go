package delivery

import (
	"cmp"
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
	// contrast of the color to the mail's background is below 3, the button has an edge.
	Color string
	// ColorDark is the color of the button in dark mails, as #rrggbb; its contrast to #191c22 is 3 at least. The zero value stands
	// for Color, lightened until it has that contrast.
	ColorDark string
	// Logo is the URL of an image that stands for the app's name: https, with a public host and without user, password, port,
	// query or fragment, at most 200 bytes. Mail programs load it when a mail is opened, so its host sees that.
	Logo string
	// CodeInSubject puts the code into the subject of mails, where phones show it on locked screens. Without it the code is in
	// neither the subject nor the preview.
	CodeInSubject bool
}

const (
	defaultMailColor = "#1f5fbf"
	maxLogoURL       = 200
)

// A brand is the part of an app's appearance that mails show.
type brand struct {
	Logo string // the URL of an image; empty: the app's name is shown
	colors.Button
}

// newBrand returns an error that names the invalid settings.
func (c MailConfig) newBrand() (brand, error) {
	var problems []error
	if err := colors.Check(c.Color); err != nil {
		problems = append(problems, setting.Errorf("Mail.Color", "%w", err))
	}
	if err := colors.CheckDark(c.ColorDark); err != nil {
		problems = append(problems, setting.Errorf("Mail.ColorDark", "%w", err))
	}
	if !isPublicImage(c.Logo) {
		problems = append(problems, setting.Errorf("Mail.Logo", "is not an https URL of a public host, without port, query and fragment, of at most %d bytes", maxLogoURL))
	}
	if len(problems) > 0 {
		return brand{}, errors.Join(problems...)
	}
	return brand{Logo: c.Logo, Button: colors.NewButton(strings.ToLower(cmp.Or(c.Color, defaultMailColor)), strings.ToLower(c.ColorDark))}, nil
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
