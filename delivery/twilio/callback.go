package twilio

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
)

// maxCallback bounds a callback's body, in octets.
const maxCallback = 64 << 10

// A Report says what became of a message or call.
type Report struct {
	Reference string // Sent.Reference of the message
	Status    string // watchword.DeliverySent, DeliveryDelivered or DeliveryFailed
	ErrorCode string // Twilio's, of a failure
}

// Callbacks serves Twilio's status callbacks: it checks X-Twilio-Signature and hands on what is news. Reports may come
// twice and in any order; whoever keeps a status sees to it that it only moves on, as Engine.Record does.
type Callbacks struct {
	URL    string         // status_callback as Twilio was given it, for that is what is signed, not what a proxy makes of it
	Token  watchword.Code // the account's
	Report func(ctx context.Context, r Report) error
}

// ServeHTTP answers 204 if the report was taken, 403 to whoever is not Twilio, and 503 if Report failed.
func (c *Callbacks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxCallback)
	if err := r.ParseForm(); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	signed, err := signedURL(c.URL, r.URL.RawQuery)
	if err != nil || c.Token.IsZero() || !verifySignature(c.Token, signed, r.PostForm, r.Header.Get("X-Twilio-Signature")) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if report, news := parseReport(r.PostForm); news {
		if err := c.Report(r.Context(), report); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// signedURL is the configured URL with the query that came, so that a query that was made up fails the signature.
func signedURL(configured, query string) (string, error) {
	base, _, _ := strings.Cut(configured, "?")
	if base == "" {
		return "", errors.New("no URL is configured")
	}
	if query == "" {
		return base, nil
	}
	return base + "?" + query, nil
}

// verifySignature compares in constant time, with the URL as it is and, since Twilio is not of one mind about it, with the
// scheme's own port added or left out.
func verifySignature(token watchword.Code, rawURL string, form url.Values, signature string) bool {
	valid := false
	for _, candidate := range portVariants(rawURL) {
		if hmac.Equal([]byte(computeSignature(token, candidate, form)), []byte(signature)) {
			valid = true
		}
	}
	return valid
}

// computeSignature is HMAC-SHA-1 over the URL and, sorted by name, each parameter's name and value. Of a repeated parameter each
// different value counts, sorted too.
func computeSignature(token watchword.Code, rawURL string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token.Reveal()))
	mac.Write([]byte(rawURL))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := slices.Compact(slices.Sorted(slices.Values(form[name])))
		for _, value := range values {
			mac.Write([]byte(name))
			mac.Write([]byte(value))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func portVariants(rawURL string) []string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	port := map[string]string{"https": ":443", "http": ":80"}[scheme]
	if !ok || port == "" {
		return []string{rawURL}
	}
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if bare, found := strings.CutSuffix(host, port); found {
		return []string{rawURL, scheme + "://" + bare + path}
	}
	if strings.Contains(host, ":") && !strings.HasSuffix(host, "]") {
		return []string{rawURL}
	}
	return []string{rawURL, scheme + "://" + host + port + path}
}

// statuses translates Twilio's, of messages and of calls. Those that are missing are steps before the message is sent.
var statuses = map[string]string{
	"sent": watchword.DeliverySent, "delivered": watchword.DeliveryDelivered, "read": watchword.DeliveryDelivered,
	"undelivered": watchword.DeliveryFailed, "failed": watchword.DeliveryFailed, "canceled": watchword.DeliveryFailed,

	"ringing": watchword.DeliverySent, "in-progress": watchword.DeliverySent, "completed": watchword.DeliveryDelivered,
	"busy": watchword.DeliveryFailed, "no-answer": watchword.DeliveryFailed,
}

// parseReport returns what a callback's form says, and whether it is news. A form that names two messages or statuses says
// nothing.
func parseReport(form url.Values) (Report, bool) {
	one := func(names ...string) string {
		var found []string
		for _, name := range names {
			found = append(found, form[name]...)
		}
		if len(found) != 1 {
			return ""
		}
		return found[0]
	}
	r := Report{Reference: one("CallSid"), Status: statuses[one("CallStatus")], ErrorCode: one("ErrorCode")}
	if r.Reference == "" {
		r.Reference, r.Status = one("MessageSid"), statuses[one("MessageStatus")]
	}
	return r, r.Reference != "" && r.Status != ""
}
