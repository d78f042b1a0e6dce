package inbox

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchword-auth/watchword/delivery"
)

// A query is what the list shows.
type query struct {
	Text    string
	Channel string // empty: all
	words   []string
	after   int  // only messages with a higher number
	newer   bool // after was given
}

func newQuery(r *http.Request) query {
	values := r.URL.Query()
	q := query{Text: values.Get("q"), Channel: values.Get("channel")}
	q.words = strings.Fields(strings.ToLower(q.Text))
	q.after, _ = strconv.Atoi(values.Get("after"))
	q.newer = values.Has("after")
	return q
}

// matches reports whether a message is of the channel and has all words in its address, subject, text or code.
func (q query) matches(m storedMessage) bool {
	if m.Number <= q.after || q.Channel != "" && m.Channel != q.Channel {
		return false
	}
	all := strings.ToLower(m.To + "\n" + m.Title + "\n" + m.Text + "\n" + m.Code.Reveal())
	return !slices.ContainsFunc(q.words, func(word string) bool { return !strings.Contains(all, word) })
}

// parameters returns the query as parameters of an URL, each after an ampersand.
func (q query) parameters() template.URL {
	values := url.Values{}
	if q.Text != "" {
		values.Set("q", q.Text)
	}
	if q.Channel != "" {
		values.Set("channel", q.Channel)
	}
	if len(values) == 0 {
		return ""
	}
	return template.URL("&" + values.Encode())
}

// A listView is the data of the list.
type listView struct {
	Query      query
	Rows       []row
	Current    int // the number of the message that is shown
	Parameters template.URL
	All        int  // messages that are kept
	Update     bool // the list gets newer rows only
}

// A pageView is the data of the page.
type pageView struct {
	listView
	Keep     int
	Channels []channelChoice
	Reading  bool // a message was asked for: a phone shows it alone
	Message  *messageView
}

// A row is a message in the list.
type row struct {
	Number  int
	Channel string
	Name    string // of the channel
	To      string
	Summary string
	Code    string
	At      time.Time
	Expires time.Time // zero: unknown
}

const maxSummary = 90 // characters

func newListView(all snapshot, q query) listView {
	view := listView{Query: q, Parameters: q.parameters(), All: len(all.messages), Update: q.newer}
	for _, m := range all.filter(q.matches) {
		view.Rows = append(view.Rows, row{Number: m.Number, Channel: m.Channel, Name: channelName(m.Channel), To: m.To, Summary: summarize(cmp.Or(m.Title, m.Text)),
			Code: m.Code.Reveal(), At: m.At, Expires: m.ExpiresAt})
	}
	return view
}

// summarize returns the beginning of a text on one line.
func summarize(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= maxSummary {
		return text
	}
	return string([]rune(text)[:maxSummary]) + "…"
}

// Clock returns the local time of day.
func (r row) Clock() string { return r.At.Local().Format("15:04:05") }

// A channelChoice is a channel that the list can be limited to.
type channelChoice struct {
	Value, Name string
	Chosen      bool
}

// listChannels returns the built-in channels and all others that messages have.
func listChannels(all snapshot, q query) []channelChoice {
	values := []string{"", delivery.ChannelEmail, delivery.ChannelSMS, delivery.ChannelVoice, channelWhatsApp}
	for _, m := range all.messages {
		if !slices.Contains(values, m.Channel) {
			values = append(values, m.Channel)
		}
	}
	choices := make([]channelChoice, len(values))
	for i, v := range values {
		choices[i] = channelChoice{v, channelName(v), v == q.Channel}
	}
	return choices
}

const channelWhatsApp = "whatsapp"

// channelName returns a channel's name for people. Channels of the configuration have their own.
func channelName(channel string) string {
	switch channel {
	case "":
		return "All"
	case delivery.ChannelEmail:
		return "Email"
	case delivery.ChannelSMS:
		return "SMS"
	case delivery.ChannelVoice:
		return "Voice"
	case channelWhatsApp:
		return "WhatsApp"
	}
	return channel
}

// A messageView is a message in the reader.
type messageView struct {
	message
	Number   int
	App      string
	Name     string // of the channel
	Purpose  string
	Language string
	Expires  time.Time
	Parts    []textPart // the text, with its link as parts of their own
	Origin   string     // an SMS: the host of the line that binds the code, if the text has that line
	Segments int        // of an SMS
	Encoding string
	Headers  []delivery.MailHeader
}

type textPart struct {
	Text string
	Link bool
}

// find returns the message with a number, or nil.
func (s snapshot) find(number int) *messageView {
	for _, m := range s.messages {
		if m.Number == number {
			return newMessageView(m)
		}
	}
	return nil
}

func newMessageView(m storedMessage) *messageView {
	v := &messageView{message: newMessage(m.Message, m.At), Number: m.Number, App: m.App, Name: channelName(m.Channel), Purpose: m.Purpose,
		Language: m.Language, Expires: m.ExpiresAt, Parts: separateLink(m.Text, m.Link.Reveal()), Origin: m.Origin}
	switch m.Channel {
	case delivery.ChannelSMS:
		v.Segments, v.Encoding = delivery.CountSegments(m.Text)
	case delivery.ChannelEmail:
		v.Headers = append([]delivery.MailHeader{{Name: "To", Value: m.To}, {Name: "Subject", Value: m.Title}, {Name: "Date", Value: m.At.Format(time.RFC1123Z)},
			{Name: "Message-ID", Value: "<" + m.ID + "@…>"}}, delivery.AutomaticMailHeaders()...)
		kind := "text/plain; charset=UTF-8"
		if m.HTML != "" {
			kind = "multipart/alternative"
		}
		v.Headers = append(v.Headers, delivery.MailHeader{Name: "Content-Type", Value: kind})
	}
	return v
}

// separateLink splits a text before and after each occurrence of a link.
func separateLink(text, link string) (parts []textPart) {
	for link != "" {
		before, after, ok := strings.Cut(text, link)
		if !ok {
			break
		}
		parts = append(parts, textPart{Text: before}, textPart{Text: link, Link: true})
		text = after
	}
	return append(parts, textPart{Text: text})
}
