package twilio

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword"
)

// statusCallbackURL returns the URL for Twilio's reports about a message, or "". The URL contains the challenge, the send and the
// channel, and Twilio signs the URL, so that a report cannot be used for another message. Without the account's token it is empty,
// because reports could not be verified.
func (s *sender) statusCallbackURL(m watchword.Message) string {
	if !s.getsReports() {
		return s.statusCallback
	}
	return s.callbackURL + "/" + url.PathEscape(m.ChallengeID) + "/" + strconv.Itoa(m.Send) + "/" + url.PathEscape(m.Channel)
}

// getsReports reports whether this sender serves Twilio's reports.
func (s *sender) getsReports() bool {
	return s.statusCallback == "" && s.callbackURL != "" && !s.accountToken.IsZero()
}

// Callbacks implements delivery.Reporter. The handler answers like Callbacks.ServeHTTP, and 404 to other paths than those of
// statusCallbackURL. It is nil if this sender gets no reports.
func (s *sender) Callbacks() http.Handler {
	if !s.getsReports() {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		about, channel, ok := parseCallbackPath(r.URL.Path)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		signed := Callbacks{URL: s.callbackURL + r.URL.EscapedPath(), Token: s.accountToken, Report: func(ctx context.Context, report Report) error {
			if report.Status == watchword.DeliverySent { // recorded when Twilio accepted the message
				return nil
			}
			return s.report(ctx, about, watchword.Delivery{Status: report.Status, Provider: provider, Channel: channel, Sender: s.id})
		}}
		signed.ServeHTTP(w, r)
	})
}

// parseCallbackPath parses a path of statusCallbackURL, without the path of callbackURL.
func parseCallbackPath(path string) (about watchword.Outgoing, channel string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 4 || parts[0] != "" || parts[1] == "" {
		return about, "", false
	}
	send, err := strconv.Atoi(parts[2])
	return watchword.Outgoing{ChallengeID: parts[1], Send: send}, parts[3], err == nil && send > 0
}
