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
	"unicode"
	"unicode/utf8"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/browsers"
	"github.com/watchword-auth/watchword/internal/languages"
)

// A partView is the data of a part. Values from requests are strings, which the template escapes.
type partView struct {
	pageTexts
	brand
	view  watchword.View
	Title string
	Error string
	final bool // the challenge has ended, or nothing can be done on this page

	Next    template.URL // leads back to the app
	forward bool         // the page opens Next by itself

	// For the element on an app's own page; see pages_element.go:
	bearer     watchword.Code   // of the exchange of the ticket
	status     watchword.Status // of the verification
	returnCode watchword.Code

	BlockedUntil time.Time // no answer is accepted before

	Transaction []transactionRow
	SentTo      string
	ExpiresAt   time.Time
	Auto        bool // the code is sent as soon as it is complete
	Rejected    bool // the code that was sent is wrong
	Sends       bool
	SendsLeft   int
	ResendIn    int // seconds
	Note        deliveryNote
	Instead     []string // other channels by which the code can be sent
	CanGoBack   bool     // the address was typed in the app, which the page can lead back to
	SMS         bool     // the code is sent by text message

	Secret  []string     // to scan: the secret in groups,
	OpenIn  template.URL // the link to an app on the same device
	QR      template.URL // and the QR code
	Codes   []string     // recovery codes
	Account string       // whose codes or secret these are, as the app calls it; empty: unknown
	Host    string       // of the public URL
	NewKey  bool         // add a key, do not use one

	RenewIn int // seconds until the key's challenge is to be renewed; 0: it cannot be

	OtherNetwork bool // the challenge was started on another network

	public map[string]any

	Label    string        // of the code's input
	Intro    template.HTML // where the person finds the code
	Length   int           // of the code; 0: unknown
	Alphabet string        // of the code
	Letters  bool          // the code contains letters
	Focus    bool          // focus the input
	Number   string        // that the page of the link asks for
	HasCode  bool          // the message has a code in addition to the link

	// Of the page of a verification:
	Method   string      // id of the method that is shown
	Others   bool        // other methods can be chosen
	Choices  []methodRow // the methods to choose from
	CanBack  bool        // from the choice to the method that is open
	Notice   string      // what happened since the person looked
	SentAt   time.Time   // when the message was sent again, at the person's request
	Trust    int         // days for which the device can be trusted; 0: it cannot be
	Remember bool        // the device will be trusted
	state    string      // see verificationState

	Purpose   string
	From      string // browser of the client that started
	Network   string // its address
	At        time.Time
	Page      string // id of the page that the link belongs to
	AskNumber bool
	Starter   bool
}

// A transactionRow is one entry of a transaction. A page has at most one that is large.
type transactionRow struct {
	Name, Text string
	Large      bool
}

// A deliveryNote says what became of a message. The zero value says nothing.
type deliveryNote struct {
	Text string `json:"text"`
	Late bool   `json:"late"` // else the message was not delivered
}

// newPartView returns the data that all parts of a challenge have.
func (ps *pageServer) newPartView(x *exchange, a *app, v watchword.View) *partView {
	texts := a.pages.texts.forLocale(v.Locale, x.request)
	return &partView{pageTexts: texts, brand: x.brandOf(a), view: v, Transaction: transactionRows(texts, v.Transaction),
		SentTo: v.SentTo, CanGoBack: v.Sends && v.ReturnURL != "" && !concernsKnownAddress(v.Purpose), ExpiresAt: v.ExpiresAt, Auto: v.TriesLeft > 1, Sends: v.Sends, SendsLeft: v.SendsLeft, ResendIn: ps.secondsUntil(v.ResendAt),
		Host: a.host(), OtherNetwork: onDifferentNetworks(v.Client.IP, ps.server.ClientAddress(x.request)), Note: ps.describeDelivery(texts, v), SMS: v.Channel == "sms", Purpose: translatePurpose(texts, v.Purpose), From: describeStarter(texts, v.Client), Network: v.Client.IP, At: v.CreatedAt}
}

// host returns the host of the app's public URL.
func (a *app) host() string {
	_, host, _ := strings.Cut(a.publicURL, "://")
	host, _, _ = strings.Cut(host, "/")
	return host
}

// secondsUntil returns the time until t in whole seconds, rounded up, and 0 if t has passed.
func (ps *pageServer) secondsUntil(t time.Time) int {
	return max(int(math.Ceil(t.Sub(ps.server.clock()).Seconds())), 0)
}

// lateAfter is how long a message waits in the queue before a page says so.
const lateAfter = 8 * time.Second

// describeDelivery returns the note about a message that was not delivered, or that still waits to be sent.
func (ps *pageServer) describeDelivery(texts pageTexts, v watchword.View) deliveryNote {
	switch {
	case v.Delivery.Status == watchword.DeliveryFailed:
		whole := strings.ReplaceAll(v.SentTo, " ", "\u00a0") // a number is not broken at the end of a line
		return deliveryNote{texts.text("not_delivered", "to", whole), false}
	case v.Delivery.Status == watchword.DeliveryQueued && ps.server.clock().Sub(v.SentAt) > lateAfter:
		return deliveryNote{texts.text("delivery_late"), true}
	}
	return deliveryNote{}
}

// concernsKnownAddress reports whether the message of a purpose goes to the address of an account that is signed in to, or nearly so:
// nobody typed it just before.
func concernsKnownAddress(purpose string) bool {
	return purpose == watchword.PurposeMFA || purpose == watchword.PurposeManageFactors
}

// transactionRows returns all entries of a transaction in the order of messages: amount, currency and payee first. An amount is large,
// and has its currency in the same row.
func transactionRows(texts pageTexts, transaction map[string]string) (out []transactionRow) {
	rank := func(name string) int {
		if at := slices.Index([]string{"amount", "currency", "payee"}, name); at >= 0 {
			return at
		}
		return math.MaxInt
	}
	names := slices.SortedFunc(maps.Keys(transaction), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	amount, currency := transaction["amount"], transaction["currency"]
	for _, name := range names {
		row := transactionRow{Name: translateName(texts, "transaction_", name), Text: transaction[name], Large: name == "amount"}
		switch {
		case name == "currency" && amount != "":
			continue
		case row.Large && currency != "":
			row.Text += " " + currency
		}
		out = append(out, row)
	}
	return out
}

func translatePurpose(texts pageTexts, name string) string {
	return translateName(texts, "purpose_", name)
}

// translateName returns the text of a name that has a translation. Other names are shown with a capital and without their
// underscores.
func translateName(texts pageTexts, prefix, name string) string {
	if texts.has(prefix + name) {
		text, _ := texts.T(prefix + name)
		return text
	}
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + strings.ReplaceAll(name[size:], "_", " ")
}

// describeStarter returns browser and system of the client that started a challenge.
func describeStarter(texts pageTexts, c watchword.Client) string {
	browser, system := browsers.Recognize(c.UserAgent)
	if browser != "" && system != "" {
		return texts.text("browser_on", "browser", browser, "system", system)
	}
	return languages.Isolate(browser+system, texts.rightToLeft)
}

// metadataAccount is the name in a challenge's metadata whose value is the name of the account. Authenticator apps show it too, or the
// subject if there is none.
const metadataAccount = "account"

// fillAsk adds the data of a pending challenge's ask and returns the name of the template.
func (ps *pageServer) fillAsk(v *partView, p *watchword.Page) (name string) {
	v.Label, v.public = v.text("code_label"), p.Public
	v.Length, _ = p.Public["length"].(int)
	v.Alphabet = v.publicText("alphabet")
	switch p.Ask {
	case watchword.AskCode:
		if v.Codes, _ = p.Public["codes"].([]string); len(v.Codes) > 0 {
			v.Account = p.Metadata[metadataAccount]
			return "ask_codes"
		}
		v.Label = v.text(v.pick("code_label_"+string(p.Source), "code_label"))
		v.Letters, _ = p.Public["letters"].(bool)
		v.Intro = v.describeCode()
		v.Instead = slices.DeleteFunc(p.OtherChannels, func(channel string) bool { return !v.has("instead_by_" + channel) })
		v.Focus = true
		return "ask_code"
	case watchword.AskLink:
		v.Number, _ = p.Public["number"].(string)
		v.HasCode, _ = p.Public["code"].(bool)
		return "ask_link"
	case watchword.AskScan:
		v.Label = v.text("scan_code")
		v.Account = cmp.Or(p.Metadata[metadataAccount], p.Subject)
		v.Secret = splitSecret(v.publicText("secret"))
		v.OpenIn, v.QR = v.publicURL("uri", "otpauth://"), v.publicURL("qr", "data:image/png;base64,")
		return "ask_scan"
	case watchword.AskKey, watchword.AskNewKey:
		v.NewKey = p.Ask == watchword.AskNewKey
		return "ask_key"
	}
	return "ask_other"
}

// publicText returns a text of the public data, empty if there is none.
func (v *partView) publicText(name string) string {
	text, _ := v.public[name].(string)
	return text
}

// publicURL returns a URL of the public data if it has the prefix. The template does not filter it further.
func (v *partView) publicURL(name, prefix string) template.URL {
	if text := v.publicText(name); strings.HasPrefix(text, prefix) {
		return template.URL(text)
	}
	return ""
}

// Options returns the WebAuthn options of the browser as JSON. The template calls it.
func (v *partView) Options() (string, error) {
	options, err := json.Marshal(v.public)
	return string(options), err
}

// splitSecret splits a secret into groups of four characters, which are easier to type.
func splitSecret(secret string) (out []string) {
	for group := range slices.Chunk([]byte(secret), 4) {
		out = append(out, string(group))
	}
	return out
}

// fillEnded adds the data of a challenge or verification that has ended, and the URL that leads back to the app, and returns the
// name of the template.
func fillEnded(v *partView, status watchword.Status, next watchword.Code) (name string) {
	v.final, v.Next = true, template.URL(next.Reveal())
	switch status {
	case watchword.Approved:
		v.forward = true
		return "approved"
	case watchword.Canceled:
		return "canceled"
	case watchword.Locked:
		return "locked"
	}
	return "expired"
}
