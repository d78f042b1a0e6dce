package twilio_test

import (
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/delivery"
)

func TestOpenChecksURLs(t *testing.T) {
	tests := []struct {
		url  string
		dev  bool
		want string // part of the error; empty: no error
	}{
		{"twilio://sid:token@/?from=+14155550100", false, ""},
		{"twilio://sid:token@/?from=%2B14155550100", false, ""},
		{"twilio://sid:token@?from=72727", false, ""},
		{"twilio://sid:token@/?from=ACME", false, ""},
		{"twilio://sid:token@/?from=+14155550100&messaging_service=MG12&status_callback=https://v.example.com/t?x=1", false, ""},
		{"twilio://sid:token@/?from=ACME&base_url=http://127.0.0.1:1", true, ""},
		{"twilio://sid:token@/?from=ACME&base_url=http://127.0.0.1:1", false, "loopback in development only"},
		{"twilio://sid:token@/?from=ACME&base_url=http://[::ffff:127.0.0.1]:1", true, "loopback in development only"},
		{"twilio://sid:token@/?from=ACME&base_url=http://api.example.com", true, "loopback in development only"},
		{"twilio://sid:token@/?from=ACME&base_url=ftp://localhost", true, "loopback in development only"},
		{"twilio://sid:token@/?from=ACME&base_url=http://localhost/path", true, "loopback in development only"},
		{"twilio://sid:token@/", false, "from or messaging_service is missing"},
		{"twilio://sid:token@/?from=", false, "unknown, empty or repeated"},
		{"twilio://sid:token@/?from=A&from=B", false, "unknown, empty or repeated"},
		{"twilio://sid:token@/?from=A&form=B", false, "unknown, empty or repeated"},
		{"twilio://sid:token@/?from=a%0Ab", false, "neither a number"},
		{"twilio://sid:token@/?messaging_service=a/b", false, "not a sid"},
		{"twilio://sid:token@/?from=A&status_callback=http://v.example.com", false, "not an https URL"},
		{"twilio://sid:token@/?from=A&status_callback=https://u:p@v.example.com", false, "not an https URL"},
		{"twilio://sid:token@host/?from=A", false, "only a / is allowed"},
		{"twilio://sid:token@/path?from=A", false, "only a / is allowed"},
		{"twilio://sid:token@/?from=A#x", false, "only a / is allowed"},
		{"twilio://sid@/?from=A", false, "sid and token are missing"},
		{"twilio://:token@/?from=A", false, "sid and token are missing"},
		{"twilio:///?from=A", false, "sid and token are missing"},
		{"twilio://a%2F..:token@/?from=A", false, "sid and token are missing"},
		{"twilio:sid:token?from=A", false, "sid and token are missing"},
		{"twilio://SK1:token@/?from=A&account=AC1", false, ""},
		{"twilio://SK1:token@/?from=A&account=AC1&account_token=t", false, ""},
		{"twilio://AC1:token@/?from=A&account=AC2", false, ""},
		{"twilio://AC1:token@/?from=A&account=AC1", false, ""},
		{"twilio://SK1:token@/?from=A", false, "an API key (SK...) needs the parameter account"},
		{"twilio://SK1:token@/?from=A&account=SK1", false, "not the sid of an account"},
		{"twilio://SK1:token@/?from=A&account=AC/../x", false, "not the sid of an account"},
		{"twilio://AC1:token@/?from=A&region=ie1&edge=dublin", false, ""},
		{"twilio://AC1:token@/?from=A&region=ie1.evil.example", false, "region is not"},
		{"twilio://AC1:token@/?from=A&region=ie1%2Fx", false, "region is not"},
		{"twilio://AC1:token@/?from=A&edge=evil.example%23", false, "edge is not"},
		{"twilio://AC1:token@/?from=A&content_sid=HX1&content_variables=1:code,2:minutes,name:app", false, ""},
		{"twilio://AC1:token@/?from=A&content_sid=MG1", false, "not the sid of a content template"},
		{"twilio://AC1:token@/?from=A&content_variables=1:code", false, "needs content_sid"},
		{"twilio://AC1:token@/?from=A&content_sid=HX1&content_variables=1:app", false, "neither code nor link nor text"},
		{"twilio://AC1:token@/?from=A&content_sid=HX1&content_variables=1:code,1:app", false, "not like 1:code"},
		{"twilio://AC1:token@/?from=A&content_sid=HX1&content_variables=1:kode", false, "not like 1:code"},
		{"twilio://AC1:token@/?from=A&content_sid=HX1&content_variables=code", false, "not like 1:code"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			_, err := providers.Open(t.Context(), tt.url, delivery.Environment{Development: tt.dev})
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}

// Open reports parameters that the channel needs, before the first message fails.
func TestOpenReportsParametersThatChannelNeeds(t *testing.T) {
	for _, tt := range []struct{ channel, parameters, want string }{
		{"whatsapp", "from=A", "content_sid is missing"}, {"whatsapp", "from=A&content_sid=HX1", ""}, {"whatsapp", "messaging_service=MG1&content_sid=HX1", ""},
		{"voice", "messaging_service=MG1", "a call needs the parameter from"}, {"voice", "from=A", ""},
		{"sms", "from=A", ""}, {"sms", "from=A&content_sid=HX1", ""}, {"email", "from=A", "sms, whatsapp and voice only"}, {"", "from=A", ""},
	} {
		_, err := providers.Open(t.Context(), "twilio://AC1:token@/?"+tt.parameters, delivery.Environment{Channel: tt.channel})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s with %s: %v, want %q", tt.channel, tt.parameters, err, tt.want)
		}
	}
}

func TestOpenReportsEveryProblemWithoutSecrets(t *testing.T) {
	_, err := providers.Open(t.Context(), "twilio://sid:hunter2@hunter3/?hunter4=hunter5&status_callback=hunter6&base_url=hunter7", delivery.Environment{})
	for _, want := range []string{"unknown", "from or messaging_service", "https URL", "loopback", "only a / is allowed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error repeats the URL: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("twilio://sid:token@/?from=+14155550100&base_url=http://localhost:1")
	f.Add("twilio://sid:token@/?messaging_service=MG1&status_callback=https://v.example.com/")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := providers.Open(t.Context(), text, delivery.Environment{})
		if err == nil && (strings.Contains(text, "base_url=") || !strings.Contains(text, "@")) {
			t.Errorf("%q opened", text)
		}
	})
}

func TestOpenRejectsUnsupportedChannels(t *testing.T) {
	for _, c := range []struct {
		channel, query string
		ok             bool
	}{
		{"", "from=ACME", true}, {"sms", "from=ACME", true}, {"sms", "messaging_service=MG12", true}, {"voice", "from=%2B14155550100", true},
		{"voice", "messaging_service=MG12", false}, {"email", "from=ACME", false}, {"pager", "from=ACME", false},
	} {
		_, err := providers.Open(t.Context(), "twilio://sid:token@/?"+c.query, delivery.Environment{Channel: c.channel})
		if c.ok != (err == nil) {
			t.Errorf("channel %q with %s: %v", c.channel, c.query, err)
		}
	}
}
