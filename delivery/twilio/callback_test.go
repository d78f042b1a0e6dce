package twilio_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twilio/twilio-go/client"
	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/twilio"
)

const callbackURL = "https://verify.example.com/twilio?k=1"

// signText signs a text that the test composes, so that the test defines the order of the parts.
func signText(token, text string) string {
	m := hmac.New(sha1.New, []byte(token))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// postCallback posts a callback and returns the status of the answer and the reports.
func postCallback(configured, query, form, signature string, fail error) (int, []twilio.Report) {
	var got []twilio.Report
	h := &twilio.Callbacks{URL: configured, Token: watchword.NewCode("12345"), Report: func(_ context.Context, r twilio.Report) error {
		got = append(got, r)
		return fail
	}}
	r := httptest.NewRequest(http.MethodPost, "http://internal:8080/other/path?"+query, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", signature)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, got
}

func TestCallbacksAcceptVector(t *testing.T) {
	raw, err := os.ReadFile("../../../shared/vectors/otp.json")
	if err != nil {
		t.Skip("the vector file ../shared/vectors/otp.json is not here")
	}
	var file struct {
		Vector struct {
			URL, Signature string
			Params         map[string]string
		} `json:"twilio_signature"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	for name, value := range file.Vector.Params {
		form.Set(name, value)
	}
	_, query, _ := strings.Cut(file.Vector.URL, "?")
	if status, _ := postCallback(file.Vector.URL, query, form.Encode(), file.Vector.Signature, nil); status != http.StatusNoContent {
		t.Errorf("the vector is answered %d", status)
	}
	form.Set("Digits", "1235")
	if status, _ := postCallback(file.Vector.URL, query, form.Encode(), file.Vector.Signature, nil); status != http.StatusForbidden {
		t.Errorf("a changed vector is answered %d", status)
	}
}

func TestCallbacksVerifySignatures(t *testing.T) {
	const form = "MessageStatus=sent&MessageSid=SM1&b=2&B=1&a=3&a=1&a=3"
	good := signText("12345", callbackURL+"B1"+"MessageSidSM1"+"MessageStatussent"+"a1"+"a3"+"b2")
	tests := []struct {
		name, configured, query, form, signature string
		want                                     int
	}{
		{"sorted by name, repeated values each once", callbackURL, "k=1", form, good, 204},
		{"another order on the wire", callbackURL, "k=1", "a=3&a=1&B=1&b=2&MessageSid=SM1&MessageStatus=sent", good, 204},
		{"with the port", callbackURL, "k=1", form, signText("12345", "https://verify.example.com:443/twilio?k=1B1MessageSidSM1MessageStatussenta1a3b2"), 204},
		{"without the port", "https://verify.example.com:443/twilio", "k=1", form, good, 204},
		{"another port", "https://verify.example.com:8443/twilio", "k=1", form, good, 403},
		{"in the order of the wire", callbackURL, "k=1", form, signText("12345", callbackURL+"MessageStatussentMessageSidSM1b2B1a3a1a3"), 403},
		{"the first of the repeated only", callbackURL, "k=1", form, signText("12345", callbackURL+"B1MessageSidSM1MessageStatussenta3b2"), 403},
		{"another value", callbackURL, "k=1", strings.Replace(form, "SM1", "SM2", 1), good, 403},
		{"a parameter more", callbackURL, "k=1", form + "&c=1", good, 403},
		{"a value more", callbackURL, "k=1", form + "&a=4", good, 403},
		{"a parameter less", callbackURL, "k=1", "MessageStatus=sent&MessageSid=SM1&b=2&B=1&a=3", good, 403},
		{"another query", callbackURL, "k=2", form, good, 403},
		{"no query", callbackURL, "", form, good, 403},
		{"another URL", "https://verify.example.org/twilio", "k=1", form, good, 403},
		{"another token", callbackURL, "k=1", form, signText("12346", callbackURL+"B1MessageSidSM1MessageStatussenta1a3b2"), 403},
		{"no signature", callbackURL, "k=1", form, "", 403},
		{"no URL", "", "k=1", form, signText("12345", "?k=1B1MessageSidSM1MessageStatussenta1a3b2"), 403},
		{"broken form", callbackURL, "k=1", "%zz", good, 400},
		{"huge form", callbackURL, "k=1", "a=" + strings.Repeat("x", 65<<10), good, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, got := postCallback(tt.configured, tt.query, tt.form, tt.signature, nil)
			if status != tt.want || (len(got) == 1) != (tt.want == 204) {
				t.Errorf("answered %d, want %d; reported %v", status, tt.want, got)
			}
		})
	}
}

func TestCallbacksRejectEmptyToken(t *testing.T) {
	h := &twilio.Callbacks{URL: callbackURL, Report: func(context.Context, twilio.Report) error { return nil }}
	r := httptest.NewRequest(http.MethodPost, "/?k=1", nil)
	r.Header.Set("X-Twilio-Signature", signText("", callbackURL))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("answered %d", w.Code)
	}
}

func TestCallbacksAllowOnlyPOST(t *testing.T) {
	w := httptest.NewRecorder()
	(&twilio.Callbacks{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("answered %d", w.Code)
	}
}

func TestCallbacksReportStatuses(t *testing.T) {
	tests := []struct {
		form string
		want []twilio.Report
	}{
		{"MessageSid=SM1&MessageStatus=queued", nil},
		{"MessageSid=SM1&MessageStatus=sending", nil},
		{"MessageSid=SM1&MessageStatus=new-one", nil},
		{"MessageSid=SM1&MessageStatus=sent&SmsSid=SM1&SmsStatus=sent", []twilio.Report{{Reference: "SM1", Status: "sent"}}},
		{"MessageSid=SM1&MessageStatus=delivered", []twilio.Report{{Reference: "SM1", Status: "delivered"}}},
		{"MessageSid=SM1&MessageStatus=read", []twilio.Report{{Reference: "SM1", Status: "delivered"}}},
		{"MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003", []twilio.Report{{Reference: "SM1", Status: "failed", ErrorCode: "30003"}}},
		{"MessageSid=SM1&MessageStatus=failed", []twilio.Report{{Reference: "SM1", Status: "failed"}}},
		{"CallSid=CA1&CallStatus=ringing", []twilio.Report{{Reference: "CA1", Status: "sent"}}},
		{"CallSid=CA1&CallStatus=completed", []twilio.Report{{Reference: "CA1", Status: "delivered"}}},
		{"CallSid=CA1&CallStatus=no-answer", []twilio.Report{{Reference: "CA1", Status: "failed"}}},
		{"CallSid=CA1", nil},
		{"MessageStatus=delivered", nil},
		{"MessageSid=SM1&MessageSid=SM2&MessageStatus=delivered", nil},
		{"MessageSid=SM1&MessageStatus=delivered&MessageStatus=failed", nil},
	}
	for _, tt := range tests {
		form, _ := url.ParseQuery(tt.form)
		status, got := postCallback(callbackURL, "k=1", tt.form, signText("12345", callbackURL+signedForm(form)), nil)
		if status != http.StatusNoContent || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d %+v, want %+v", tt.form, status, got, tt.want)
		}
	}
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"sent"}}
	if status, _ := postCallback(callbackURL, "k=1", form.Encode(), signText("12345", callbackURL+signedForm(form)), errors.New("store")); status != http.StatusServiceUnavailable {
		t.Errorf("a report that failed is answered %d", status)
	}
}

// signedForm returns the form as part of the signed text, as Twilio's documentation defines it.
func signedForm(form url.Values) string {
	var parts []string
	for name, values := range form {
		for _, value := range values {
			parts = append(parts, name+"\x00"+value)
		}
	}
	slices.Sort(parts)
	return strings.ReplaceAll(strings.Join(slices.Compact(parts), ""), "\x00", "")
}

// Without repeated parameters, the result must be that of Twilio's own library.
func TestCallbacksAgreeWithTwilioLibrary(t *testing.T) {
	oracle := client.NewRequestValidator("12345")
	rapid.Check(t, func(t *rapid.T) {
		params := rapid.MapOf(rapid.StringMatching(`[A-Za-z0-9_]{1,8}`), rapid.String()).Draw(t, "params")
		form := url.Values{}
		for name, value := range params {
			form.Set(name, value)
		}
		signature := signText("12345", callbackURL+signedForm(form))
		if rapid.Bool().Draw(t, "forged") {
			signature = signText("12345", callbackURL+signedForm(form)+"x")
		}
		status, _ := postCallback(callbackURL, "k=1", form.Encode(), signature, nil)
		if want := oracle.Validate(callbackURL, params, signature); (status == http.StatusNoContent) != want {
			t.Fatalf("answered %d, the library returns %t", status, want)
		}
	})
}

func FuzzCallback(f *testing.F) {
	f.Add("k=1", "MessageSid=SM1&MessageStatus=sent", "x")
	f.Add("", "a=1&a=2;b", signText("12345", callbackURL))
	f.Fuzz(func(t *testing.T, query, form, signature string) {
		if _, err := url.ParseRequestURI("/?" + query); err != nil || strings.ContainsAny(query, "\r\n \t#") {
			t.Skip("net/http would not have let it in")
		}
		status, got := postCallback(callbackURL, url.PathEscape(query), form, signature, nil)
		if len(got) != 0 && status != http.StatusNoContent || status == http.StatusNoContent && signature == "" {
			t.Errorf("answered %d and reported %v", status, got)
		}
	})
}

func ExampleCallbacks() {
	callbacks := &twilio.Callbacks{
		URL:   "https://verify.example.com/twilio",
		Token: watchword.NewCode("12345"), // the account's auth token
		Report: func(_ context.Context, r twilio.Report) error {
			fmt.Println(r.Reference, r.Status)
			return nil
		},
	}
	request := httptest.NewRequest(http.MethodPost, "/twilio", strings.NewReader("MessageSid=SM1&MessageStatus=delivered"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Twilio-Signature", signText("12345", "https://verify.example.com/twilioMessageSidSM1MessageStatusdelivered"))
	answer := httptest.NewRecorder()
	callbacks.ServeHTTP(answer, request)
	fmt.Println(answer.Code)
	// Output:
	// SM1 delivered
	// 204
}
