package inbox_test

import (
	"crypto/sha256"
	"encoding/base64"
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

func TestPageEscapesSearchedAddress(t *testing.T) {
	page := get(t, new(inbox.Inbox), "/inbox?to=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").Body.String()
	if found := findActiveContent(t, page); len(found) != 1 {
		t.Errorf("%q", found)
	}
	if !strings.Contains(page, "Nothing for") {
		t.Error("the page does not say that nothing was found")
	}
}

// The page's policy allows only the page's own script and style.
func TestHandlerSetsContentSecurityPolicies(t *testing.T) {
	box := new(inbox.Inbox)
	send(t, open(t, box), watchword.Message{Channel: "email", HTML: `<p style="color:red">hi</p><script>alert(1)</script>`})
	page := get(t, box, "/inbox")
	policy := page.Header().Get("Content-Security-Policy")
	for _, element := range []string{"script", "style"} {
		_, rest, _ := strings.Cut(page.Body.String(), "<"+element+">")
		content, _, _ := strings.Cut(rest, "</"+element+">")
		sum := sha256.Sum256([]byte(content))
		if want := element + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("%s is not in %s", want, policy)
		}
	}
	mail := get(t, box, "/inbox/mail/1").Header().Get("Content-Security-Policy")
	for _, tt := range []struct{ policy, want string }{
		{policy, "default-src 'none'"}, {policy, "frame-ancestors 'none'"}, {policy, "base-uri 'none'"},
		{mail, "default-src 'none'"}, {mail, "sandbox allow-popups allow-popups-to-escape-sandbox"},
	} {
		if !strings.Contains(tt.policy, tt.want) {
			t.Errorf("%s is not in %s", tt.want, tt.policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(mail, "script") {
		t.Errorf("too much is allowed: %s; %s", policy, mail)
	}
	for _, path := range []string{"/inbox", "/inbox/messages", "/inbox/mail/1"} {
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
		t.Error("the link in the text cannot be pressed")
	}
}
