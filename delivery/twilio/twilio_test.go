package twilio_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/twilio"
)

var (
	providers = delivery.Openers{"twilio": twilio.Open}
	noon      = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
)

func noonNow() time.Time { return noon }

// A fakeTwilio is an API server. It checks the credentials, records the forms and answers with the given handler.
type fakeTwilio struct {
	*httptest.Server
	user  string // expected user name; the password is s3cret/t
	mu    sync.Mutex
	paths []string
	forms []url.Values
}

func startFakeTwilio(t *testing.T, answer http.HandlerFunc) *fakeTwilio {
	t.Helper()
	f := &fakeTwilio{user: "AC1"}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sid, token, ok := r.BasicAuth(); !ok || sid != f.user || token != "s3cret/t" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = r.ParseForm()
		f.mu.Lock()
		f.paths, f.forms = append(f.paths, r.Method+" "+r.URL.Path), append(f.forms, r.PostForm)
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func answerCreated(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"sid": "SM123", "status": "queued", "to": "+14155550123", "num_segments": "1", "price": null}`)
}

func (f *fakeTwilio) open(t *testing.T, parameters string) watchword.Sender {
	t.Helper()
	sender, err := providers.Open(t.Context(), "twilio://"+f.user+":s3cret%2Ft@/?"+parameters+"&base_url="+url.QueryEscape(f.URL),
		delivery.Environment{Development: true, Now: noonNow})
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func newMessage(channel string) watchword.Message {
	return watchword.Message{ID: "msg_1", App: "ACME", Channel: channel, To: "+14155550123", Locale: "en", Text: "492039 is your code.",
		Code: watchword.NewCode("492039"), ExpiresAt: noon.Add(90*time.Second + 700*time.Millisecond)}
}

func TestSendPostsOnceToTheRecipient(t *testing.T) {
	tests := []struct {
		name, parameters, channel, path string
		want                            url.Values
	}{
		{"sms", "from=+14155550100", "sms", "Messages", url.Values{"To": {"+14155550123"}, "From": {"+14155550100"}, "Body": {"492039 is your code."}, "ValidityPeriod": {"90"}}},
		{"sender id", "from=ACME%20Inc", "sms", "Messages", url.Values{"To": {"+14155550123"}, "From": {"ACME Inc"}, "Body": {"492039 is your code."}, "ValidityPeriod": {"90"}}},
		{"service", "messaging_service=MG1&status_callback=https%3A%2F%2Fv.example.com%2Ft", "sms", "Messages", url.Values{"To": {"+14155550123"},
			"MessagingServiceSid": {"MG1"}, "Body": {"492039 is your code."}, "ValidityPeriod": {"90"}, "StatusCallback": {"https://v.example.com/t"}}},
		{"whatsapp", "from=whatsapp:%2B14155550100&content_sid=HX1", "whatsapp", "Messages", url.Values{"To": {"whatsapp:+14155550123"}, "From": {"whatsapp:+14155550100"},
			"ContentSid": {"HX1"}, "ContentVariables": {`{"1":"492039"}`}, "ValidityPeriod": {"90"}}},
		{"whatsapp with variables", "messaging_service=MG1&content_sid=HX1&content_variables=code:code,2:minutes,3:app,4:text,5:transaction", "whatsapp", "Messages",
			url.Values{"To": {"whatsapp:+14155550123"}, "MessagingServiceSid": {"MG1"}, "ContentSid": {"HX1"}, "ValidityPeriod": {"90"},
				"ContentVariables": {`{"2":"2","3":"ACME","4":"492039 is your code.","5":"-","code":"492039"}`}}},
		{"a text whose sender has a template", "from=%2B14155550100&content_sid=HX1", "sms", "Messages",
			url.Values{"To": {"+14155550123"}, "From": {"+14155550100"}, "Body": {"492039 is your code."}, "ValidityPeriod": {"90"}}},
		{"voice", "from=%2B14155550100&status_callback=https%3A%2F%2Fv.example.com%2Ft", "voice", "Calls", url.Values{"To": {"+14155550123"}, "From": {"+14155550100"},
			"Timeout": {"20"}, "StatusCallback": {"https://v.example.com/t"}, "StatusCallbackEvent": {"answered", "completed"},
			"Twiml": {`<Response><Say language="en-US" voice="Polly.Joanna">4, 9, 2, 0, 3, 9 is your code.</Say><Pause length="1"/>` +
				`<Say language="en-US" voice="Polly.Joanna">4, 9, 2, 0, 3, 9 is your code.</Say></Response>`}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := startFakeTwilio(t, answerCreated)
			sent, err := f.open(t, tt.parameters).Send(t.Context(), newMessage(tt.channel))
			if err != nil || !reflect.DeepEqual(sent, watchword.Sent{Provider: "twilio", Reference: "SM123"}) {
				t.Fatalf("sent %+v, %v", sent, err)
			}
			if len(f.forms) != 1 || f.paths[0] != "POST /2010-04-01/Accounts/AC1/"+tt.path+".json" {
				t.Fatalf("requests %v", f.paths)
			}
			if got, want := f.forms[0].Encode(), tt.want.Encode(); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestSendRejectsHostileRecipients(t *testing.T) {
	f := startFakeTwilio(t, answerCreated)
	sender := f.open(t, "from=%2B14155550100")
	for _, to := range []string{"", "+", "14155550123", "+1415555012a", "client:alice", "sip:a@b", "whatsapp:+14155550123", "+14155550123,+14155550124",
		"+14155550123;ext=1", "+14155550123\n", "\n+14155550123", "+14155550123 ", "+1415555\x000123", "+٤١٤١٥٥٥٥", "+0123456789", "+1234567890123456", "ada@example.com",
		"messenger:1", "+1415&From=+1", "tel:+14155550123", "＋14155550123", "+14155550123#"} {
		for _, channel := range []string{"sms", "whatsapp", "voice"} {
			m := newMessage(channel)
			m.To = to
			requirePermanent(t, sender, m)
		}
	}
	requirePermanent(t, sender, newMessage("email"))
	expired := newMessage("sms")
	expired.ExpiresAt = noon.Add(999 * time.Millisecond)
	requirePermanent(t, sender, expired)
	requirePermanent(t, f.open(t, "messaging_service=MG1"), newMessage("voice"))
	if len(f.forms) != 0 {
		t.Errorf("%d requests", len(f.forms))
	}
}

func requirePermanent(t *testing.T, sender watchword.Sender, m watchword.Message) {
	t.Helper()
	_, err := sender.Send(t.Context(), m)
	var refusal *watchword.SendError
	if !errors.As(err, &refusal) || !refusal.Permanent {
		t.Errorf("%q by %s: got %v", m.To, m.Channel, err)
	}
	if m.To != "" && m.To != "+" && strings.Contains(err.Error(), m.To) {
		t.Errorf("the error contains the recipient: %v", err)
	}
}

func TestSendMapsAPIErrors(t *testing.T) {
	tests := []struct {
		status, code int
		after        string
		permanent    bool
		wait         time.Duration
	}{
		{400, 21211, "", true, 0}, {400, 21610, "", true, 0}, {400, 21614, "", true, 0}, {400, 21408, "", true, 0}, {401, 20003, "", false, 0},
		{403, 20403, "", false, 0}, {404, 20404, "", true, 0}, {301, 0, "", true, 0}, {307, 0, "", true, 0},
		{429, 20429, "", false, 0}, {429, 0, "3", false, 3 * time.Second}, {400, 14107, "", false, 0}, {400, 21611, "", false, 0},
		{500, 20500, "", false, 0}, {503, 0, "9223372036854775807", false, 24 * time.Hour}, {503, 20503, "soon", false, 0}, {503, 20504, "Sat, 01 Aug 2026 12:00:05 GMT", false, 5 * time.Second},
		{429, 20429, "Saturday, 01-Aug-26 12:01:00 GMT", false, time.Minute}, {503, 20505, "Sat, 01 Aug 2026 11:59:00 GMT", false, 0}, {503, 20506, "Fri, 01 Aug 2036 12:00:00 GMT", false, 24 * time.Hour}, {408, 0, "", false, 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			f := startFakeTwilio(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", tt.after)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprintf(w, `{"code": %d, "message": "The number +14155550123 is bad: 492039", "status": %d}`, tt.code, tt.status)
			})
			_, err := f.open(t, "from=%2B14155550100").Send(t.Context(), newMessage("sms"))
			var refusal *watchword.SendError
			if !errors.As(err, &refusal) || refusal.Permanent != tt.permanent || refusal.RetryAfter != tt.wait || refusal.Provider != "twilio" {
				t.Fatalf("got %#v", err)
			}
			if !strings.Contains(err.Error(), fmt.Sprint(tt.code)) || strings.Contains(err.Error(), "4155550123") || strings.Contains(err.Error(), "492039") {
				t.Errorf("error %v", err)
			}
			if len(f.forms) != 1 {
				t.Errorf("%d requests", len(f.forms))
			}
		})
	}
}

func TestSendWithWrongCredentialsIsFaultOfProvider(t *testing.T) {
	f := startFakeTwilio(t, answerCreated)
	sender, err := providers.Open(t.Context(), "twilio://AC1:wrongtoken@/?from=ACME&base_url="+f.URL, delivery.Environment{Development: true})
	if err != nil {
		t.Fatal(err)
	}
	m := newMessage("sms")
	m.ExpiresAt = time.Now().Add(time.Hour)
	_, err = sender.Send(t.Context(), m)
	var refusal *watchword.SendError
	if !errors.As(err, &refusal) || refusal.Fault != watchword.FaultProvider || refusal.Permanent {
		t.Errorf("got %#v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v", sender, sender, sender); strings.Contains(text, "wrongtoken") {
		t.Errorf("the sender prints its token: %s", text)
	}
}

func TestSendReportsUnreadableAnswersAsTemporary(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"silent":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"cut":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"unreadable": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>+14155550123") },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := io.WriteString(w, strings.Repeat(" ", 64<<10)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := startFakeTwilio(t, answer).open(t, "from=ACME").Send(ctx, newMessage("sms"))
			var refusal *watchword.SendError
			if !errors.As(err, &refusal) || refusal.Permanent || strings.Contains(err.Error(), "Accounts") || strings.Contains(err.Error(), "4155550123") {
				t.Errorf("got %v", err)
			}
			if name == "silent" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the context's end is not recognisable in %v", err)
			}
		})
	}
}

func TestCallUsesVoiceOfTheLanguage(t *testing.T) {
	for _, tt := range []struct{ locale, words, want string }{
		{"de", "", "de-DE"}, {"de-AT", "", "de-DE"}, {"fr_CA", "", "fr-FR"}, {"en-GB", "", "en-GB"}, {"en-AU", "", "en-GB"}, {"en-US", "", "en-US"}, {"en-CA", "", "en-GB"}, {"es", "", "es-ES"},
		{"pt", "", "pt-BR"}, {"zh-Hans", "", "cmn-CN"}, {"zh-TW", "", "en-US"}, {"it", "", "en-US"}, {"", "", "en-US"}, {`"><Dial>`, "", "en-US"},
		{"en-GB", "en", "en-GB"}, {"zh-Hant", "en", "en-US"}, {"de", "en", "en-US"}, {"", "de", "de-DE"}, {"it", "it", "en-US"},
	} {
		m := newMessage("voice")
		m.Locale, m.Language = tt.locale, tt.words
		if say := spokenTexts(t, m); say[0].Language != tt.want {
			t.Errorf("%q with words in %q is read in %s, want %s", tt.locale, tt.words, say[0].Language, tt.want)
		}
	}
}

type sayElement struct {
	Language string `xml:"language,attr"`
	Text     string `xml:",chardata"`
}

// spokenTexts returns the Say elements of a call's TwiML. There must be two equal ones, and a pause between them.
func spokenTexts(t *testing.T, m watchword.Message) []sayElement {
	t.Helper()
	f := startFakeTwilio(t, answerCreated)
	if _, err := f.open(t, "from=%2B14155550100").Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Say   []sayElement
		Other []struct{ XMLName xml.Name } `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(f.forms[0].Get("Twiml")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Say) != 2 || got.Say[0] != got.Say[1] || len(got.Other) != 1 || got.Other[0].XMLName.Local != "Pause" {
		t.Errorf("got %+v", got)
	}
	return got.Say
}

func TestCallReadsCodeDigitByDigit(t *testing.T) {
	for _, tt := range []struct{ text, code, want string }{
		{"Your code is 0042.", "0042", "Your code is 0, 0, 4, 2."},
		{"Your code is 0, 0, 4, 2.", "0042", "Your code is 0, 0, 4, 2."},
		{"", "0042", "0, 0, 4, 2"},
		{"nothing to type", "", "nothing to type"},
		{`</Say><Dial>+1900</Dial><Say a="b"> & 12`, "12", `</Say><Dial>+1900</Dial><Say a="b"> & 1, 2`},
		{"a\x00b", "", "a\ufffdb"},
	} {
		m := newMessage("voice")
		m.Text, m.Code = tt.text, watchword.NewCode(tt.code)
		if got := spokenTexts(t, m)[0].Text; got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
