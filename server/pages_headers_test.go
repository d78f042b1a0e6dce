package server_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestPagesSendSecurityHeaders(t *testing.T) {
	s := newSite(t, siteOptions{public: "https://verify.example.com"})
	c := s.startLink()
	v := s.newPageClient()
	opened := v.post(c.page+"/open", map[string]string{"ticket": c.Ticket.Reveal()})
	for path, got := range map[string]pageResponse{"shell": v.get(c.page), "link": v.get("/l/" + c.ID), "css": v.get("/pages/page.css"), "js": v.get("/pages/page.js"), "keys": v.get("/pages/keys.js"), "part": opened,
		"unknown": v.get("/c/ch_x/state"), "problem": v.do(http.MethodPost, c.page+"/open", "text/plain", "")} {
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Cross-Origin-Opener-Policy": "same-origin"} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.header.Get(name))
			}
		}
		policy := got.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, policy)
		}
		permissions := got.header.Get("Permissions-Policy")
		for _, want := range []string{"camera=()", "publickey-credentials-get=(self)", "publickey-credentials-create=(self)"} {
			if !strings.Contains(permissions, want) {
				t.Errorf("%s: no %s in the Permissions-Policy", path, want)
			}
		}
	}
	form := regexp.MustCompile(`^__Host-` + c.ID + `=ck_[A-Za-z0-9_-]{43}; Path=/; Max-Age=1490; HttpOnly; Secure; SameSite=Strict$`)
	if got := opened.header.Get("Set-Cookie"); !form.MatchString(got) {
		t.Errorf("the cookie is %q", got)
	}
}

// The origin of a link is the configured public URL, whatever a header says.
func TestLinkIgnoresForgedHostHeaders(t *testing.T) {
	s := newSite(t, siteOptions{public: "https://verify.example.com"})
	const evil = "evil.example"
	body := `{"strategy":"magiclink","purpose":"sign_in","to":"ada@example.com"}`
	n := 0
	for _, name := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-For", "Forwarded",
		"X-Host", "X-Original-Host", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Host-Override", "X-Proxy-Host", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP",
		"Origin", "Referer", "Via", "X-Url-Scheme", "X-Forwarded-Scheme", "Front-End-Https", "X-ProxyUser-Ip", "X-Envoy-Original-Path"} {
		value := evil
		if name == "Forwarded" {
			value = "host=" + evil + ";proto=http"
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.web.URL+"/v1/challenges", strings.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+shopKey)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = evil
		}
		w, err := http.DefaultClient.Do(r)
		must(t, err)
		_ = w.Body.Close()
		if w.StatusCode != http.StatusCreated {
			t.Fatalf("%s: %s", name, w.Status)
		}
		m, err := s.engine.ComposeMessage(t.Context(), s.outbox.messages[n])
		must(t, err)
		if n++; !strings.HasPrefix(m.Link.Reveal(), "https://verify.example.com/l/ch_") {
			t.Errorf("%s: the link goes to %s", name, m.Link.Reveal()[:30])
		}
	}
	if n != 25 {
		t.Errorf("%d headers", n)
	}
}
