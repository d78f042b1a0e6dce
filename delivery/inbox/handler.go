package inbox

import (
	"bytes"
	_ "embed" // for the page's parts
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/localonly"
	"github.com/watchword-auth/watchword/internal/webstyle"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// pagePolicy is the Content-Security-Policy of the page.
const pagePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self'; frame-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// mailPolicy is the Content-Security-Policy of a mail's HTML. It allows styles but no script, form or request. The document's
// origin is opaque, also when it is opened in a tab of its own.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; " +
	"frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"

// emptyPolicy is the Content-Security-Policy of what is no page.
const emptyPolicy = "default-src 'none'; frame-ancestors 'none'"

const contentTypeHTML = "text/html; charset=utf-8"

// mailHead is written before a mail's HTML, so that its links open outside the frame. Browsers merge it with the mail's own head.
const mailHead = `<!doctype html><base target="_blank">`

type handler struct {
	inbox *Inbox
	page  *template.Template
}

// Handler returns the handler of the inbox, for /inbox and every path below it. GET /inbox is a web page; its parameter q searches
// addresses, subjects, texts and codes, and channel selects a channel. GET /inbox/messages returns the messages as JSON; its parameter
// "to" selects an address. POST /inbox/clear removes all messages.
//
// Requests are refused with 403 unless their Host is a loopback name and they come from no other origin. Messages cannot run script
// in the page: they are escaped, a mail's HTML is a separate, sandboxed document, and the Content-Security-Policy allows only the
// page's own script.
func (b *Inbox) Handler() http.Handler {
	h := &handler{inbox: b, page: template.Must(template.New("page").Parse(pageHTML))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /inbox", h.servePage)
	mux.HandleFunc("GET /inbox/rows", h.serveRows)
	mux.HandleFunc("GET /inbox/read/{number}", h.serveReader)
	mux.HandleFunc("GET /inbox/mail/{number}", h.serveMail)
	mux.HandleFunc("GET /inbox/messages", h.serveMessages)
	mux.HandleFunc("POST /inbox/clear", h.clear)
	mux.Handle("GET /inbox/page.css", serveFile("text/css; charset=utf-8", webstyle.Tools()+pageCSS))
	mux.Handle("GET /inbox/page.js", serveFile("text/javascript; charset=utf-8", pageJS))
	return localonly.Handler(mux)
}

func serveFile(contentType, content string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		setHeaders(w, contentType, emptyPolicy)
		_, _ = w.Write([]byte(content))
	})
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
	to := strings.ReplaceAll(r.URL.Query().Get("to"), " ", "+") // an unescaped + of a query is decoded as a space
	found := h.inbox.read().filter(func(m storedMessage) bool { return to == "" || strings.EqualFold(m.To, to) })
	out := make([]message, len(found))
	for i, m := range found {
		out[i] = newMessage(m.Message, m.At)
	}
	setHeaders(w, "application/json", emptyPolicy)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(out)
}

func (h *handler) servePage(w http.ResponseWriter, r *http.Request) {
	all, q := h.inbox.read(), newQuery(r)
	view := pageView{listView: newListView(all, q), Keep: maxMessages, Channels: listChannels(all, q)}
	if number, _ := strconv.Atoi(r.URL.Query().Get("m")); number > 0 {
		view.Reading = true
		view.Message = all.find(number)
	} else if len(view.Rows) > 0 {
		view.Message = all.find(view.Rows[0].Number)
	}
	if view.Message != nil {
		view.Current = view.Message.Number
	}
	h.render(w, "page", pagePolicy, all, view)
}

// serveRows returns the rows of the list. With the parameter after, a number, it returns only the messages that are newer.
func (h *handler) serveRows(w http.ResponseWriter, r *http.Request) {
	all, q := h.inbox.read(), newQuery(r)
	h.render(w, "rows", emptyPolicy, all, newListView(all, q))
}

// serveReader returns one message as the page shows it.
func (h *handler) serveReader(w http.ResponseWriter, r *http.Request) {
	all := h.inbox.read()
	number, _ := strconv.Atoi(r.PathValue("number"))
	view := pageView{Message: all.find(number)}
	h.render(w, "reader", emptyPolicy, all, view)
}

// render writes a template. Two headers let the page's script poll: the number of the newest message ever added, and that of the oldest
// that is kept.
func (h *handler) render(w http.ResponseWriter, name, policy string, all snapshot, view any) {
	var out bytes.Buffer
	if err := h.page.ExecuteTemplate(&out, name, view); err != nil {
		http.Error(w, "the page cannot be rendered", http.StatusInternalServerError)
		return
	}
	setHeaders(w, contentTypeHTML, policy)
	w.Header().Set("Inbox-Newest", strconv.Itoa(all.count))
	w.Header().Set("Inbox-Oldest", strconv.Itoa(all.oldest()))
	_, _ = out.WriteTo(w)
}

func (h *handler) serveMail(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.PathValue("number"))
	m := h.inbox.read().find(number)
	if m == nil || m.HTML == "" {
		http.NotFound(w, r)
		return
	}
	setHeaders(w, contentTypeHTML, mailPolicy)
	_, _ = w.Write([]byte(mailHead + m.HTML))
}

func (h *handler) clear(w http.ResponseWriter, r *http.Request) {
	h.inbox.clear()
	http.Redirect(w, r, "/inbox", http.StatusSeeOther)
}

func setHeaders(w http.ResponseWriter, contentType, policy string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
}
