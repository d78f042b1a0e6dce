package inbox_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/inbox"
)

// hostile are texts of messages that must not become markup.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</p></article><iframe src=//evil.example>`,
	`</style><script>alert(1)</script>`, `</script><script>alert(1)</script>`, `javascript:alert(1)`, `{{.Code}}`, "\x00<b>", `]]><svg/onload=alert(1)>`, "\u2028<script>",
}

// findActiveContent returns the parts of a document that could run: script elements, event handlers, javascript: URLs and foreign
// frames.
func findActiveContent(t *testing.T, document string) (found []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" || n.Data == "img" || n.Data == "svg" || n.Data == "b" {
			found = append(found, "<"+n.Data+">")
		}
		for _, a := range n.Attr {
			value := strings.ToLower(strings.TrimSpace(a.Val))
			if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(value, "javascript:") && (a.Key == "href" || a.Key == "src" || a.Key == "action") || n.Data == "iframe" && a.Key == "src" && !strings.HasPrefix(a.Val, "/inbox/mail/") {
				found = append(found, n.Data+" "+a.Key+"="+a.Val)
			}
		}
	}
	return found
}

func FuzzPageRunsNoScript(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, channel := range []string{"sms", "email", "voice", text} {
			box := new(inbox.Inbox)
			send(t, open(t, box), watchword.Message{ID: text, ChallengeID: text, App: text, Channel: channel, To: text, Title: text,
				Text: "see " + text + " here", HTML: text, Code: watchword.NewCode(text), Link: watchword.NewCode(text)})
			page := get(t, box, "/inbox").Body.String()
			if found := findActiveContent(t, page); len(found) != 1 || found[0] != "<script>" {
				t.Errorf("channel %q: %q", channel, found)
			}
		}
	})
}

func TestPageEscapesSearch(t *testing.T) {
	page := get(t, new(inbox.Inbox), "/inbox?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&channel=%22%3E%3Cscript%3E").Body.String()
	if found := findActiveContent(t, page); len(found) != 1 {
		t.Errorf("%q", found)
	}
}

// The search finds parts of addresses, subjects, texts and codes, in any letter case; all words must be found.
func TestListShowsWhatMatches(t *testing.T) {
	box := new(inbox.Inbox)
	sender := open(t, box)
	send(t, sender, watchword.Message{Channel: "sms", To: "+14155550123", Text: "492039 is your code", Code: watchword.NewCode("492039")})
	send(t, sender, watchword.Message{Channel: "email", To: "ada@example.com", Title: "Sign in to Northwind", Text: "Works until noon", HTML: "<p>x</p>", Code: watchword.NewCode("77AB")})
	send(t, sender, watchword.Message{Channel: "push", To: "bob@example.com", Text: "Hello"})
	for query, want := range map[string][]string{
		"":                              {"3", "2", "1"},
		"q=example":                     {"3", "2"},
		"q=ADA":                         {"2"},
		"q=northwind":                   {"2"},
		"q=noon+sign":                   {"2"},
		"q=noon+bob":                    nil,
		"q=9203":                        {"1"},
		"q=77ab":                        {"2"},
		"q=+14155550123":                {"1"}, // as people paste it
		"q=%2B1415":                     {"1"},
		"q=nobody":                      nil,
		"channel=sms":                   {"1"},
		"channel=push":                  {"3"},
		"channel=voice":                 nil,
		"channel=email&q=example&after": {"2"},
		"after=1":                       {"3", "2"},
		"after=3":                       nil,
	} {
		rows := get(t, box, "/inbox/rows?"+query)
		if got := listRows(rows.Body.String()); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
		if empty := strings.Contains(rows.Body.String(), "No message matches"); empty != (want == nil && !strings.Contains(query, "after")) {
			t.Errorf("%q: says that nothing matches: %t", query, empty)
		}
		if rows.Header().Get("Inbox-Newest") != "3" || rows.Header().Get("Inbox-Oldest") != "1" {
			t.Errorf("%q: %v", query, rows.Header())
		}
	}
	if page := get(t, box, "/inbox").Body.String(); !strings.Contains(page, `value="push"`) {
		t.Error("the filter does not offer a channel of the configuration")
	}
}

func listRows(page string) (numbers []string) {
	for _, part := range strings.Split(page, `<li class="row" data-number="`)[1:] {
		number, _, _ := strings.Cut(part, `"`)
		numbers = append(numbers, number)
	}
	return numbers
}

func TestReaderShowsMessageAsItsDeviceDoes(t *testing.T) {
	box := new(inbox.Inbox)
	sender := open(t, box)
	send(t, sender, watchword.Message{ID: "msg_1", Channel: "sms", To: "+14155550123", Text: "dev: 492039 is your code.", Code: watchword.NewCode("492039"), ExpiresAt: noon})
	send(t, sender, watchword.Message{Channel: "sms", Text: "验证码 492039\n@shop.example #492039", Code: watchword.NewCode("492039"), Origin: "shop.example"})
	send(t, sender, watchword.Message{Channel: "voice", App: "Shop", Text: "4, 9, 2"})
	send(t, sender, watchword.Message{ID: "msg_4", Channel: "email", To: "ada@example.com", Title: "Sign in", Text: "open", HTML: "<p>open</p>"})
	for number, wants := range map[string][]string{
		"1": {`class="text domain">@your-app.example #492039<`, "1 segment, GSM-7", `data-copy="492039"`, "until "},
		"2": {"1 segment, UCS-2", "on pages of shop.example only"},
		"3": {"Call from Shop", "4, 9, 2"},
		"4": {`src="/inbox/mail/4"`, `sandbox="allow-popups allow-popups-to-escape-sandbox"`, "Auto-Submitted", "auto-generated", "msg_4@…", "multipart/alternative"},
		"9": {"Choose a message"},
	} {
		got := get(t, box, "/inbox/read/"+number).Body.String()
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("message %s: %q is not in %s", number, want, got)
			}
		}
		if strings.Contains(got, "your-app.example") != (number == "1") {
			t.Errorf("message %s: shows a line that it has already, or that only an SMS has", number)
		}
	}
	if page := get(t, box, "/inbox?m=2").Body.String(); !strings.Contains(page, `<body class="reading">`) || !strings.Contains(page, `href="/inbox?m=2" aria-current="true"`) {
		t.Error("the page of a message does not show it")
	}
}

func TestClearRemovesAllMessages(t *testing.T) {
	box := new(inbox.Inbox)
	send(t, open(t, box), watchword.Message{Channel: "sms", Text: "x"})
	if w := request(box, http.MethodPost, "/inbox/clear", "localhost"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/inbox" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	rows := get(t, box, "/inbox/rows")
	if !strings.Contains(rows.Body.String(), "No messages yet") || rows.Header().Get("Inbox-Oldest") != "2" || rows.Header().Get("Inbox-Newest") != "1" {
		t.Errorf("%v %s", rows.Header(), rows.Body)
	}
	send(t, open(t, box), watchword.Message{Channel: "sms", Text: "y"})
	if got := listRows(get(t, box, "/inbox/rows").Body.String()); !slices.Equal(got, []string{"2"}) {
		t.Errorf("the next message has the number %v", got)
	}
}

func TestHandlerRefusesForeignHosts(t *testing.T) {
	box := new(inbox.Inbox)
	send(t, open(t, box), watchword.Message{Channel: "email", Text: "x", HTML: "<p>x"})
	for _, path := range []string{"/inbox", "/inbox/rows", "/inbox/read/1", "/inbox/mail/1", "/inbox/messages", "/inbox/page.js"} {
		if code := request(box, http.MethodGet, path, "evil.example:8080").Code; code != http.StatusForbidden {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code := request(box, http.MethodPost, "/inbox/clear", "evil.example:8080").Code; code != http.StatusForbidden {
		t.Errorf("clear: %d", code)
	}
}

// The whole page without messages is small, as browsers would load it compressed.
func TestPageIsSmall(t *testing.T) {
	total := 0
	for _, path := range []string{"/inbox", "/inbox/page.css", "/inbox/page.js"} {
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		_, _ = w.Write(get(t, new(inbox.Inbox), path).Body.Bytes())
		_ = w.Close()
		total += compressed.Len()
	}
	if total > 15_000 || total < 1000 {
		t.Errorf("%d bytes", total)
	}
}

// The page's policy allows only the page's own script and style.
func TestHandlerSetsContentSecurityPolicies(t *testing.T) {
	box := new(inbox.Inbox)
	send(t, open(t, box), watchword.Message{Channel: "email", HTML: `<p style="color:red">hi</p><script>alert(1)</script>`})
	page := get(t, box, "/inbox")
	policy := page.Header().Get("Content-Security-Policy")
	mail := get(t, box, "/inbox/mail/1").Header().Get("Content-Security-Policy")
	for _, tt := range []struct{ policy, want string }{
		{policy, "default-src 'none'"}, {policy, "script-src 'self'"}, {policy, "style-src 'self'"}, {policy, "frame-ancestors 'none'"}, {policy, "base-uri 'none'"},
		{mail, "default-src 'none'"}, {mail, "sandbox allow-popups allow-popups-to-escape-sandbox"},
	} {
		if !strings.Contains(tt.policy, tt.want) {
			t.Errorf("%s is not in %s", tt.want, tt.policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(mail, "script") {
		t.Errorf("too much is allowed: %s; %s", policy, mail)
	}
	for _, path := range []string{"/inbox", "/inbox/rows", "/inbox/read/1", "/inbox/messages", "/inbox/mail/1", "/inbox/page.css", "/inbox/page.js"} {
		head := get(t, box, path).Header()
		if head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Cache-Control") != "no-store" || head.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, head)
		}
	}
}

func TestHandlerAnswers404ToUnknownMail(t *testing.T) {
	box := new(inbox.Inbox)
	send(t, open(t, box), watchword.Message{Channel: "sms", Text: "no HTML"})
	for _, path := range []string{"/inbox/mail/1", "/inbox/mail/0", "/inbox/mail/-1", "/inbox/mail/x", "/inbox/mail/99999999999999999999", "/inbox/other"} {
		if code := get(t, box, path).Code; code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestPageMakesLinksInTextClickable(t *testing.T) {
	box := new(inbox.Inbox)
	const link = "https://verify.example.com/l/ch_1#lt_1"
	send(t, open(t, box), watchword.Message{Channel: "sms", Text: "Open " + link + " now", Link: watchword.NewCode(link)})
	if page := get(t, box, "/inbox").Body.String(); !strings.Contains(page, `Open <a href="`+link+`" target="_blank" rel="noopener noreferrer">`+link+`</a> now`) {
		t.Error("the link in the text cannot be clicked")
	}
}
