package twilio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

const senderCallbackURL = "https://verify.example.com/callbacks/shop/0"

// A reported is a call of Environment.Report.
type reported struct {
	about watchword.Outgoing
	what  watchword.Delivery
}

// openReporter opens a sender. Its Report function records the calls and returns fail.
func openReporter(t *testing.T, f *fakeTwilio, parameters string, fail error) (delivery.Reporter, *[]reported) {
	t.Helper()
	var got []reported
	sender, err := providers.Open(t.Context(), "twilio://"+f.user+":s3cret%2Ft@/?from=%2B14155550100"+parameters+"&base_url="+url.QueryEscape(f.URL),
		delivery.Environment{Development: true, Now: noonNow, CallbackURL: senderCallbackURL,
			Report: func(_ context.Context, o watchword.Outgoing, d watchword.Delivery) error {
				got = append(got, reported{o, d})
				return fail
			}})
	if err != nil {
		t.Fatal(err)
	}
	return sender.(delivery.Reporter), &got
}

// postReport posts a report to a path of the sender, with a signature of the given URL.
func postReport(r delivery.Reporter, path, signed string, form url.Values) int {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", signText("s3cret/t", signed+signedForm(form)))
	w := httptest.NewRecorder()
	r.Callbacks().ServeHTTP(w, req)
	return w.Code
}

func statusForm(s string) url.Values { return url.Values{"MessageSid": {"SM1"}, "MessageStatus": {s}} }

func TestSendGivesEachMessageItsOwnCallbackURL(t *testing.T) {
	for channel, path := range map[string]string{"sms": "/ch_A-b_1/2/sms", "whatsapp": "/ch_A-b_1/2/whatsapp", "voice": "/ch_A-b_1/2/voice"} {
		f := startFakeTwilio(t, answerCreated)
		sender, got := openReporter(t, f, "&content_sid=HX1", nil)
		m := newMessage(channel)
		m.ChallengeID, m.Send = "ch_A-b_1", 2
		if _, err := sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		to := f.forms[0].Get("StatusCallback")
		if to != senderCallbackURL+path {
			t.Errorf("%s reports to %q", channel, to)
		}
		if code := postReport(sender, strings.TrimPrefix(to, senderCallbackURL), to, statusForm("delivered")); code != http.StatusNoContent {
			t.Errorf("answered %d", code)
		}
		want := reported{watchword.Outgoing{ChallengeID: "ch_A-b_1", Send: 2}, watchword.Delivery{Status: "delivered", Provider: "twilio", Channel: channel}}
		if len(*got) != 1 || !reflect.DeepEqual((*got)[0], want) {
			t.Errorf("reported %+v", *got)
		}
	}
}

func TestSendPrefersConfiguredStatusCallback(t *testing.T) {
	f := startFakeTwilio(t, answerCreated)
	sender, _ := openReporter(t, f, "&status_callback=https%3A%2F%2Fv.example.com%2Ft", nil)
	if _, err := sender.Send(t.Context(), newMessage("sms")); err != nil || f.forms[0].Get("StatusCallback") != "https://v.example.com/t" {
		t.Errorf("reports to %q, %v", f.forms[0].Get("StatusCallback"), err)
	}
}

func TestCallbacksRejectSignatureOfAnotherMessage(t *testing.T) {
	const path, other = "/ch_1/1/sms", "/ch_2/1/sms"
	tests := []struct {
		name, path, signed string
		want               int
	}{
		{"its own", path, senderCallbackURL + path, 204},
		{"another challenge's", other, senderCallbackURL + path, 403},
		{"another send's", "/ch_1/2/sms", senderCallbackURL + path, 403},
		{"another channel's", "/ch_1/1/voice", senderCallbackURL + path, 403},
		{"another sender's", path, "https://verify.example.com/callbacks/shop/1" + path, 403},
		{"another host's", path, "https://evil.example.com/callbacks/shop/0" + path, 403},
		{"the path alone", path, path, 403},
		{"a query that was made up", path + "?a=1", senderCallbackURL + path, 403},
		{"an escaped path", "/ch%5F1/1/sms", senderCallbackURL + path, 403},
		{"no message", "/", senderCallbackURL + "/", 404},
		{"no send", "/ch_1/x/sms", senderCallbackURL + "/ch_1/x/sms", 404},
		{"send 0", "/ch_1/0/sms", senderCallbackURL + "/ch_1/0/sms", 404},
		{"deeper", path + "/x", senderCallbackURL + path + "/x", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sender, got := openReporter(t, startFakeTwilio(t, answerCreated), "", nil)
			if code := postReport(sender, tt.path, tt.signed, statusForm("delivered")); code != tt.want || (len(*got) == 1) != (tt.want == 204) {
				t.Errorf("answered %d, want %d; reported %v", code, tt.want, *got)
			}
		})
	}
}

// Unknown messages get the same answer as known ones. If the store is unavailable, the answer makes Twilio retry.
func TestCallbacksAnswerUnknownMessagesLikeKnownOnes(t *testing.T) {
	tests := []struct {
		status string
		fail   error
		want   int
		handed int
	}{
		{"delivered", nil, 204, 1}, {"undelivered", nil, 204, 1}, {"sent", nil, 204, 0}, {"sending", nil, 204, 0},
		{"delivered", watchword.ErrNotFound, 204, 1}, {"delivered", watchword.ErrUnknownChallenge, 204, 1},
		{"delivered", watchword.ErrUnavailable, 503, 1}, {"delivered", errors.New("store"), 503, 1},
	}
	for _, tt := range tests {
		sender, got := openReporter(t, startFakeTwilio(t, answerCreated), "", tt.fail)
		if code := postReport(sender, "/ch_1/1/sms", senderCallbackURL+"/ch_1/1/sms", statusForm(tt.status)); code != tt.want || len(*got) != tt.handed {
			t.Errorf("%s with %v: answered %d, handed on %v", tt.status, tt.fail, code, *got)
		}
	}
}

// Twilio signs reports with the account's token, also for messages posted with an API key. Without that token no reports are
// requested.
func TestCallbacksVerifyAPIKeyReportsWithAccountToken(t *testing.T) {
	f := startFakeTwilio(t, answerCreated)
	f.user = "SK1"
	sender, _ := openReporter(t, f, "&account=AC9", nil)
	if _, err := sender.Send(t.Context(), newMessage("sms")); err != nil || f.forms[0].Has("StatusCallback") {
		t.Errorf("%v; reports to %q", err, f.forms[0].Get("StatusCallback"))
	}
	if sender.Callbacks() != nil {
		t.Error("reports that cannot be verified are accepted")
	}
	for token, want := range map[string]int{"s3cret%2Ft": http.StatusNoContent, "another": http.StatusForbidden} {
		sender, got := openReporter(t, f, "&account=AC9&account_token="+token, nil)
		if _, err := sender.Send(t.Context(), newMessage("sms")); err != nil || !strings.HasPrefix(f.forms[len(f.forms)-1].Get("StatusCallback"), senderCallbackURL) {
			t.Errorf("%v; reports to %q", err, f.forms[len(f.forms)-1].Get("StatusCallback"))
		}
		if code := postReport(sender, "/ch_1/1/sms", senderCallbackURL+"/ch_1/1/sms", statusForm("delivered")); code != want || (len(*got) == 1) != (want == http.StatusNoContent) {
			t.Errorf("account_token=%s: answered %d, reported %v", token, code, *got)
		}
	}
}
