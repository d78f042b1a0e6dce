package webhook

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

const (
	maxReport       = 16 << 10        // bytes of a report
	reportTolerance = 5 * time.Minute // how far the clocks of the receiver and of this server may differ
)

// A report is the body of a delivery report. The reason is for the receiver's own records: it is not stored, because it may contain
// an address.
type report struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// reportURL returns the URL for the receiver's report of a message; empty if this sender gets no reports. It ends with a code that
// binds it to the message's id.
func (s *sender) reportURL(m watchword.Message) string {
	if s.callbackURL == "" {
		return ""
	}
	about := reportPath(m.ChallengeID, m.Send, m.Channel)
	return s.callbackURL + about + "/" + s.secrets[0].bindReport(about, m.ID)
}

func reportPath(challenge string, send int, channel string) string {
	return "/" + url.PathEscape(challenge) + "/" + strconv.Itoa(send) + "/" + url.PathEscape(channel)
}

// bindReport returns the code of a report URL: a MAC over its path and the message's id, which is the webhook-id of the report. So a
// report that was signed for one message is refused at the URL of another.
func (s Secret) bindReport(path, messageID string) string {
	sum := s.sum([]byte("watchword report url\n" + path + "\n" + messageID))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Callbacks implements delivery.Reporter. The handler accepts POST requests to report URLs that are signed, according to Standard
// Webhooks, with a secret of the sender and the message's id as webhook-id. It answers 204 if the report is recorded or contains nothing
// new, 400 if it is malformed, 403 if it is not authentic, 404 to other paths, and 503 if it cannot be recorded. It is nil if this
// sender gets no reports.
func (s *sender) Callbacks() http.Handler {
	if s.callbackURL == "" {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(s.handleReport(w, r)) })
}

func (s *sender) handleReport(w http.ResponseWriter, r *http.Request) (status int) {
	about, channel, ok := parseReportPath(r.URL.EscapedPath())
	if !ok {
		return http.StatusNotFound
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil {
		return http.StatusBadRequest
	}
	if !s.isAuthentic(r, body) {
		return http.StatusForbidden
	}
	outcome, err := parseReport(body)
	if err != nil {
		return http.StatusBadRequest
	}
	d := watchword.Delivery{Status: outcome, Provider: provider, Channel: channel, Sender: s.env.Sender}
	if err := s.env.Report(r.Context(), about, d); err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusNoContent
}

// isAuthentic reports whether a report is signed, recent, and at the URL of its message.
func (s *sender) isAuthentic(r *http.Request, body []byte) bool {
	id, signatures := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Signature")
	seconds, err := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || id == "" || s.now().Sub(time.Unix(seconds, 0)).Abs() > reportTolerance {
		return false
	}
	path := r.URL.EscapedPath()
	at := strings.LastIndexByte(path, '/')
	signed, bound := false, false
	for _, secret := range s.secrets {
		want := Sign([]Secret{secret}, id, time.Unix(seconds, 0), body)
		for signature := range strings.FieldsSeq(signatures) {
			signed = hmac.Equal([]byte(want), []byte(signature)) || signed
		}
		bound = hmac.Equal([]byte(secret.bindReport(path[:at], id)), []byte(path[at+1:])) || bound
	}
	return signed && bound
}

// parseReportPath parses a path of reportURL, without the path of callbackURL.
func parseReportPath(path string) (about watchword.Outgoing, channel string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 5 || parts[0] != "" {
		return about, "", false
	}
	challenge, errChallenge := url.PathUnescape(parts[1])
	send, errSend := strconv.Atoi(parts[2])
	channel, errChannel := url.PathUnescape(parts[3])
	return watchword.Outgoing{ChallengeID: challenge, Send: send}, channel, errors.Join(errChallenge, errSend, errChannel) == nil && send > 0
}

// parseReport returns the delivery status of a report's body.
func parseReport(body []byte) (string, error) {
	var in report
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&in) != nil || decoder.Decode(&struct{}{}) != io.EOF {
		return "", errors.New("the report is not one JSON object with status and reason")
	}
	status, known := map[string]string{"delivered": watchword.DeliveryDelivered, "failed": watchword.DeliveryFailed}[in.Status]
	if !known {
		return "", errors.New("the status is neither delivered nor failed")
	}
	return status, nil
}
