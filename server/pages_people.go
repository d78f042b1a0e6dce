package server

import (
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// A mark in a User-Agent, and what people call the browser or system that has it. The first that is found counts:
// browsers name those that they are like after themselves.
type agentMark struct{ mark, name string }

var (
	browserMarks = []agentMark{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"},
		{"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"}}
	systemMarks = []agentMark{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"}}
)

// recognize names browser and system. What is not known is empty: nothing of a User-Agent is shown as it came.
func recognize(userAgent string) (browser, system string) {
	find := func(marks []agentMark) string {
		for _, m := range marks {
			if strings.Contains(userAgent, m.mark) {
				return m.name
			}
		}
		return ""
	}
	return find(browserMarks), find(systemMarks)
}

// programMarks are found, in lower case, in the User-Agents of what opens links for people who have not seen them yet: mail
// scanners, previews of chats, crawlers and the tools that they are made of.
var programMarks = []string{"bot", "crawl", "spider", "scan", "preview", "proofpoint", "mimecast", "barracuda", "ironport", "safelinks", "fireeye", "forcepoint",
	"symantec", "trendmicro", "checkpoint", "zscaler", "urlcheck", "linkcheck", "headless", "facebookexternalhit", "whatsapp", "slack", "skype", "curl",
	"wget", "python", "java/", "go-http-client", "okhttp", "axios", "node-fetch", "phantomjs", "microsoft office", "ms-office"}

func isProgram(userAgent string) bool {
	agent := strings.ToLower(userAgent)
	for _, m := range programMarks {
		if strings.Contains(agent, m) {
			return true
		}
	}
	return agent == ""
}

// fastest is sooner than a person can have read the message.
const fastest = 2 * time.Second

// watchScanners tells the operator of programs that fetch a link's page. Nothing else comes of it: no request reads or
// changes the challenge.
func (h *hosted) watchScanners(x *exchange) {
	if x.request.Method == http.MethodHead || isProgram(x.request.UserAgent()) {
		h.suspect(x)
	}
}

func (h *hosted) suspect(x *exchange) {
	id := x.request.PathValue("id")
	if a := h.owner(x); a != nil && h.suspects.first(id) {
		a.engine.SuspectScanner(x.request.Context(), id)
	}
}

// farApart reports whether two addresses, both known and both public, are of different networks. A browser that changes
// its network in the meantime is taken for another one: asked for the number like others, or told.
func farApart(started string, now netip.Addr) bool {
	then, err := netip.ParseAddr(started)
	if err != nil {
		return false
	}
	public := func(a netip.Addr) bool { return a.IsGlobalUnicast() && !a.IsPrivate() }
	then = then.Unmap().WithZone("")
	if !public(then) || !public(now) {
		return false
	}
	bits := 24
	if then.Is6() {
		bits = 48
	}
	network, err := then.Prefix(bits)
	return err != nil || !network.Contains(now)
}
