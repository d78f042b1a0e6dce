package inbox

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// mailPolicy is the Content-Security-Policy of a mail's HTML. It allows styles but no script, form or request. The document's
// origin is opaque, also when it is opened in a tab of its own.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; " +
	"frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"

// mailHead is written before a mail's HTML, so that its links open outside the frame. Browsers merge it with the mail's own head.
const mailHead = `<!doctype html><base target="_blank">`

type handler struct {
	inbox  *Inbox
	page   *template.Template
	policy string
}

// Handler returns the handler of the inbox. GET /inbox is a web page, GET /inbox/messages returns the messages as JSON; both
// accept the parameter "to", an address. Messages cannot run script in the page: they are escaped, a mail's HTML is a separate,
// sandboxed document, and the page's Content-Security-Policy allows only the page's own script.
func (b *Inbox) Handler() http.Handler {
	h := &handler{
		inbox: b,
		page:  template.Must(template.New("page").Parse(pageHTML)),
		policy: "default-src 'none'; style-src " + hashSource(pageCSS) + "; script-src " + hashSource(pageJS) +
			"; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /inbox", h.servePage)
	mux.HandleFunc("GET /inbox/messages", h.serveMessages)
	mux.HandleFunc("GET /inbox/mail/{number}", h.serveMail)
	return mux
}

// hashSource returns the source expression that allows one inline element by the hash of its content (CSP Level 3 §2.3.1).
func hashSource(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// message is the JSON form of a message. The page shows the same data.
type message struct {
	ID          string    `json:"id"`
	ChallengeID string    `json:"challenge_id"`
	Channel     string    `json:"channel"`
	To          string    `json:"to"`
	Subject     string    `json:"subject"` // a mail's subject line
	Text        string    `json:"text"`
	HTML        string    `json:"html"`
	Code        string    `json:"code"`
	Link        string    `json:"link"`
	At          time.Time `json:"at"`
}

func newMessage(m watchword.Message, at time.Time) message {
	return message{
		ID: m.ID, ChallengeID: m.ChallengeID, Channel: m.Channel, To: m.To, Subject: m.Title, Text: m.Text, HTML: m.HTML,
		Code: m.Code.Reveal(), Link: m.Link.Reveal(), At: at.UTC(),
	}
}

func (h *handler) serveMessages(w http.ResponseWriter, r *http.Request) {
	found, _ := h.inbox.newest(recipientOf(r))
	out := make([]message, len(found))
	for i, m := range found {
		out[i] = newMessage(m.Message, m.At)
	}
	setHeaders(w, "application/json", "default-src 'none'; frame-ancestors 'none'")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(out)
}

// A card is a message on the page.
type card struct {
	message
	Number int
	App    string
	Clock  string     // local time of day
	Parts  []textPart // the text, with its link as parts of their own
}

type textPart struct {
	Text string
	Link bool
}

func (h *handler) servePage(w http.ResponseWriter, r *http.Request) {
	to := recipientOf(r)
	found, count := h.inbox.newest(to)
	cards := make([]card, len(found))
	for i, m := range found {
		cards[i] = newCard(m)
	}
	setHeaders(w, "text/html; charset=utf-8", h.policy)
	w.Header().Set("Inbox-Count", strconv.Itoa(count)) // the page's script polls it
	var page bytes.Buffer
	data := struct {
		Style  template.CSS
		Script template.JS
		Count  int
		Keep   int
		To     string
		Cards  []card
	}{template.CSS(pageCSS), template.JS(pageJS), count, maxMessages, to, cards}
	if err := h.page.Execute(&page, data); err != nil {
		http.Error(w, "the page cannot be rendered", http.StatusInternalServerError)
		return
	}
	_, _ = page.WriteTo(w)
}

func newCard(m storedMessage) card {
	out := card{message: newMessage(m.Message, m.At), Number: m.Number, App: m.App, Clock: m.At.Local().Format("15:04:05")}
	rest := m.Text
	if out.Link != "" {
		for {
			before, after, ok := strings.Cut(rest, out.Link)
			if !ok {
				break
			}
			out.Parts = append(out.Parts, textPart{Text: before}, textPart{Text: out.Link, Link: true})
			rest = after
		}
	}
	out.Parts = append(out.Parts, textPart{Text: rest})
	return out
}

func (h *handler) serveMail(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.PathValue("number"))
	m, ok := h.inbox.find(number)
	if !ok || m.HTML == "" {
		http.NotFound(w, r)
		return
	}
	setHeaders(w, "text/html; charset=utf-8", mailPolicy)
	_, _ = w.Write([]byte(mailHead + m.HTML))
}

// recipientOf returns the address in the parameter "to". An unescaped + of a query is decoded as a space; addresses contain no
// spaces.
func recipientOf(r *http.Request) string {
	return strings.ReplaceAll(r.URL.Query().Get("to"), " ", "+")
}

func setHeaders(w http.ResponseWriter, contentType, policy string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
}
