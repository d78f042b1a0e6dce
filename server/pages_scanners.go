package server

import (
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// automatedClientMarks are found, in lower case, in the User-Agents of programs that open links automatically: mail scanners,
// link previews of chats, crawlers, and HTTP libraries.
var automatedClientMarks = []string{"bot", "crawl", "spider", "scan", "preview", "proofpoint", "mimecast", "barracuda", "ironport", "safelinks", "fireeye", "forcepoint",
	"symantec", "trendmicro", "checkpoint", "zscaler", "urlcheck", "linkcheck", "headless", "facebookexternalhit", "whatsapp", "slack", "skype", "curl",
	"wget", "python", "java/", "go-http-client", "okhttp", "axios", "node-fetch", "phantomjs", "microsoft office", "ms-office"}

// isAutomatedClient reports whether a User-Agent is empty or that of a program.
func isAutomatedClient(userAgent string) bool {
	agent := strings.ToLower(userAgent)
	for _, m := range automatedClientMarks {
		if strings.Contains(agent, m) {
			return true
		}
	}
	return agent == ""
}

// minReadingTime is less than a person needs to receive and open a link.
const minReadingTime = 2 * time.Second

// detectScanner reports programs that fetch the page of a link. It has no other effect: the request does not read or change
// the challenge.
func (ps *pageServer) detectScanner(x *exchange) {
	if x.request.Method == http.MethodHead || isAutomatedClient(x.request.UserAgent()) {
		ps.reportScanner(x)
	}
}

// reportScanner sends the event of a suspected scanner, once for each link.
func (ps *pageServer) reportScanner(x *exchange) {
	id := x.request.PathValue("id")
	if a := ps.findApp(x); a != nil && ps.suspectedLinks.add(id) {
		a.engine.SuspectScanner(x.request.Context(), id)
	}
}

// onDifferentNetworks reports whether two addresses are both known, both public, and in different networks (/24 or /48). A
// browser that has changed its network counts as another one.
func onDifferentNetworks(startedFrom string, current netip.Addr) bool {
	starter, err := netip.ParseAddr(startedFrom)
	if err != nil {
		return false
	}
	isPublic := func(a netip.Addr) bool { return a.IsGlobalUnicast() && !a.IsPrivate() }
	starter = starter.Unmap().WithZone("")
	if !isPublic(starter) || !isPublic(current) {
		return false
	}
	bits := 24
	if starter.Is6() {
		bits = 48
	}
	network, err := starter.Prefix(bits)
	return err != nil || !network.Contains(current)
}
