package server

import (
	"cmp"
	"encoding/json"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// A partView is what a part shows. Everything that a caller had a say in is a string, for the template to escape.
type partView struct {
	language
	app   *app
	App   string
	Logo  template.URL
	Error string
	final bool
	Next  template.URL

	Transaction []row
	SentTo      string
	TriesLeft   int
	Sends       bool
	SendsLeft   int
	ResendIn    int    // seconds
	Note        string // what became of the message, if it did not arrive
	SMS         bool   // the code comes by text message

	Secret []string     // for scanning: the secret in groups,
	OpenIn template.URL // the link to an app on the same device,
	QR     template.URL // and the picture of it
	Codes  []string     // to be kept
	NewKey bool         // a key is to be made, not used

	Elsewhere bool // started on another network

	public map[string]any

	Label   string // of the code's field
	Letters bool   // the code has letters
	Focus   bool   // begin with the code
	Number  string // that the link's page asks for
	HasCode bool   // the message has a code beside the link

	Purpose   string
	From      string // browser and address of the starter
	At        time.Time
	AskNumber bool
	Starter   bool
}

// A row is one line of what is approved.
type row struct{ Name, Text string }

// view is what all parts of a challenge have.
func (h *hosted) view(x *exchange, a *app, v watchword.View) *partView {
	words := h.words.spoken(v.Locale, x.request)
	return &partView{language: words, app: a, App: a.engine.Name(), Logo: a.pages.logo, Transaction: rows(words, v.Transaction),
		SentTo: v.SentTo, TriesLeft: v.TriesLeft, Sends: v.Sends, SendsLeft: v.SendsLeft, ResendIn: h.seconds(v.ResendAt),
		Elsewhere: farApart(v.Client.IP, h.server.ClientAddress(x.request)), Note: note(words, v), SMS: v.Channel == "sms", Purpose: purpose(words, v.Purpose), From: from(words, v.Client), At: v.CreatedAt}
}

// seconds until then, rounded up.
func (h *hosted) seconds(until time.Time) int {
	return max(int(math.Ceil(until.Sub(h.server.clock()).Seconds())), 0)
}

func note(words language, v watchword.View) string {
	if v.Delivery.Status != watchword.DeliveryFailed {
		return ""
	}
	text, _ := words.T("not_delivered")
	return text
}

// rows are a transaction's, all of them: in the order in which messages have them, those with a translation first.
func rows(words language, transaction map[string]string) (out []row) {
	rank := func(name string) int {
		if at := slices.Index([]string{"amount", "currency", "payee"}, name); at >= 0 {
			return at
		}
		return math.MaxInt
	}
	names := slices.SortedFunc(maps.Keys(transaction), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	for _, name := range names {
		out = append(out, row{named(words, "transaction_", name), transaction[name]})
	}
	return out
}

func purpose(words language, name string) string { return named(words, "purpose_", name) }

// named is the text of a name that the pages know; an app's own is shown as it is, without its underscores.
func named(words language, kind, name string) string {
	if words.has(kind + name) {
		text, _ := words.T(kind + name)
		return text
	}
	return strings.ReplaceAll(name, "_", " ")
}

// from tells simply from where a challenge was started.
func from(words language, c watchword.Client) string {
	browser, system := recognize(c.UserAgent)
	parts := []string{}
	switch {
	case browser != "" && system != "":
		text, _ := words.T("browser_on", "browser", browser, "system", system)
		parts = append(parts, text)
	case browser+system != "":
		parts = append(parts, browser+system)
	}
	if c.IP != "" {
		parts = append(parts, c.IP)
	}
	return strings.Join(parts, ", ")
}

// asking is the part of a challenge that waits for an answer, by its ask.
func (h *hosted) asking(v *partView, p *watchword.Page) (name string) {
	v.Label, _ = v.T("code_label")
	v.public = p.Public
	switch p.Ask {
	case watchword.AskCode:
		if v.Codes, _ = p.Public["codes"].([]string); len(v.Codes) > 0 {
			v.Label, _ = v.T("codes_code")
			v.Letters = true
			return "ask_codes"
		}
		v.Letters, _ = p.Public["letters"].(bool)
		v.Focus = true
		return "ask_code"
	case watchword.AskLink:
		v.Label, _ = v.T("link_code")
		v.Number, _ = p.Public["number"].(string)
		v.HasCode, _ = p.Public["code"].(bool)
		return "ask_link"
	case watchword.AskScan:
		v.Label, _ = v.T("scan_code")
		v.Secret = grouped(v.shown("secret"))
		v.OpenIn, v.QR = v.address("uri", "otpauth://"), v.address("qr", "data:image/png;base64,")
		return "ask_scan"
	case watchword.AskKey, watchword.AskNewKey:
		v.NewKey = p.Ask == watchword.AskNewKey
		return "ask_key"
	}
	return "ask_other"
}

// shown is a text of what the ask needs; empty if there is none.
func (v *partView) shown(name string) string {
	text, _ := v.public[name].(string)
	return text
}

// address is one that the template may take as it is, because it is of the one kind that belongs there.
func (v *partView) address(name, kind string) template.URL {
	if text := v.shown(name); strings.HasPrefix(text, kind) {
		return template.URL(text)
	}
	return ""
}

// Options are what the browser is to ask a key for, as JSON.
func (v *partView) Options() (string, error) {
	options, err := json.Marshal(v.public)
	return string(options), err
}

// grouped cuts a secret into pieces that people can type without losing their place.
func grouped(secret string) (out []string) {
	for group := range slices.Chunk([]byte(secret), 4) {
		out = append(out, string(group))
	}
	return out
}

// ended is the part of a challenge that is over.
func ended(v *partView, view watchword.View) (name string) {
	v.final = true
	switch view.Status {
	case watchword.Approved:
		v.Next = template.URL(view.ReturnURL)
		return "approved"
	case watchword.Canceled:
		return "canceled"
	case watchword.Locked:
		return "locked"
	}
	return "expired"
}
