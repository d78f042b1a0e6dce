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

// maxCallback is the largest body of a callback in bytes.
const maxCallback = 64 << 10

// A Report is a delivery report about a message or call.
type Report struct {
	Reference string // Sent.Reference of the message
	Status    string // watchword.DeliverySent, DeliveryDelivered or DeliveryFailed
	ErrorCode string // Twilio's error code, for failures
}

// Callbacks is the handler of Twilio's status callbacks. It verifies X-Twilio-Signature and calls Report for known statuses.
// Reports may be repeated and come in any order: Report must not let a later status be replaced by an earlier one.
// Engine.RecordReport ensures that.
type Callbacks struct {
	URL    string         // status_callback exactly as Twilio got it, because Twilio signs it; not as changed by a proxy
	Token  watchword.Code // auth token of the account
	Report func(ctx context.Context, r Report) error
}

// ServeHTTP answers 204 if the callback is valid and Report succeeds, 403 if the signature is invalid, and 503 if Report fails.
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
	if report, ok := parseReport(r.PostForm); ok {
		if err := c.Report(r.Context(), report); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// signedURL returns the configured URL with the query of the request, so that a forged query fails the verification.
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

// verifySignature reports whether a signature is valid for the URL as it is, or with the scheme's default port added or removed,
// because Twilio handles that port inconsistently. It compares in constant time.
func verifySignature(token watchword.Code, rawURL string, form url.Values, signature string) bool {
	valid := false
	for _, candidate := range portVariants(rawURL) {
		if hmac.Equal([]byte(computeSignature(token, candidate, form)), []byte(signature)) {
			valid = true
		}
	}
	return valid
}

// computeSignature returns the HMAC-SHA-1 of the URL followed by the name and value of each parameter, sorted by name. The distinct
// values of a repeated parameter are included in sorted order.
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

// portVariants returns the URL, and the URL with the default port of its scheme added or removed.
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

// statuses maps Twilio's statuses of messages and calls. Statuses that are missing precede sending.
var statuses = map[string]string{
	"sent": watchword.DeliverySent, "delivered": watchword.DeliveryDelivered, "read": watchword.DeliveryDelivered,
	"undelivered": watchword.DeliveryFailed, "failed": watchword.DeliveryFailed, "canceled": watchword.DeliveryFailed,

	"ringing": watchword.DeliverySent, "in-progress": watchword.DeliverySent, "completed": watchword.DeliveryDelivered,
	"busy": watchword.DeliveryFailed, "no-answer": watchword.DeliveryFailed,
}

// parseReport returns the report in a callback's form. ok is false if the form has no known status, or has more than one reference
// or status.
func parseReport(form url.Values) (report Report, ok bool) {
	single := func(names ...string) string {
		var found []string
		for _, name := range names {
			found = append(found, form[name]...)
		}
		if len(found) != 1 {
			return ""
		}
		return found[0]
	}
	r := Report{Reference: single("CallSid"), Status: statuses[single("CallStatus")], ErrorCode: single("ErrorCode")}
	if r.Reference == "" {
		r.Reference, r.Status = single("MessageSid"), statuses[single("MessageStatus")]
	}
	return r, r.Reference != "" && r.Status != ""
}
