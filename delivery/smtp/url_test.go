package smtp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/smtp"
)

// allowedNetworks are the networks of the addresses in this file's URLs.
var allowedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}

func TestOpenChecksURLs(t *testing.T) {
	tests := []struct{ url, want string }{ // want: part of the error; empty: no error
		{"smtp://user:pass@mail.example.com?from=noreply@acme.example", ""},
		{"smtp://user:pass@mail.example.com:2525/?from=ACME%20%3Cnoreply@acme.example%3E&starttls=required", ""},
		{"smtp://localhost?from=noreply@acme.example", ""},
		{"smtps://user:p%40ss@mail.example.com:465?from=noreply@acme.example", ""},
		{"smtps://[2001:db8::1]?from=noreply@acme.example", ""},
		{"smtp://[::ffff:127.0.0.1]?from=noreply@acme.example", "IPv4-mapped"},
		{"smtps://[::ffff:8.8.8.8]?from=noreply@acme.example", "IPv4-mapped"},
		{"smtp://mail.example.com?from=noreply@acme.example&starttls=off", "only be required"},
		{"smtp://localhost?from=noreply@acme.example&starttls=off", "only be required"},
		{"smtps://mail.example.com?from=noreply@acme.example&starttls=required", "cannot be used with smtps"},
		{"smtp://user:pass@localhost?from=noreply@acme.example&password_without_tls=allowed", ""},
		{"smtp://user:pass@localhost?from=noreply@acme.example&password_without_tls=yes", "can only be allowed"},
		{"smtp://localhost?from=noreply@acme.example&password_without_tls=allowed", "is for smtp to loopback"},
		{"smtp://user:pass@mail.example.com?from=noreply@acme.example&password_without_tls=allowed", "is for smtp to loopback"},
		{"smtp://user:pass@10.0.0.1?from=noreply@acme.example&password_without_tls=allowed", "is for smtp to loopback"},
		{"smtp://user:pass@localhost?from=noreply@acme.example&password_without_tls=allowed&starttls=required", "is for smtp to loopback"},
		{"smtps://user:pass@localhost?from=noreply@acme.example&password_without_tls=allowed", "is for smtp to loopback"},
		{"smtp://user:pass@mail.example.com?from=noreply@acme.example&auth=plain&helo=verify.acme.example", ""},
		{"smtp://mail.example.com?from=noreply@acme.example&helo=[192.0.2.1]", ""},
		{"smtp://mail.example.com?from=noreply@acme.example&helo=[IPv6:2001:db8::1]", ""},
		{"smtp://mail.example.com?from=noreply@acme.example&helo=mailhost", "parameter helo"},
		{"smtp://mail.example.com?from=noreply@acme.example&helo=192.0.2.1.", "parameter helo"},
		{"smtp://mail.example.com?from=noreply@acme.example&helo=a.example%0d%0aMAIL", "parameter helo"},
		{"smtp://mail.example.com?from=noreply@acme.example&auth=plain", "needs a user and a password"},
		{"smtp://user:pass@mail.example.com?from=noreply@acme.example&auth=cram", "neither plain nor login"},
		{"smtp://user:pass@mail.example.com?from=noreply@acme.example&token_file=/run/token", "is for auth=xoauth2"},
		{"smtp://user:pass@mail.example.com?from=noreply@acme.example&auth=xoauth2&token_file=/run/token", "without a password"},
		{"smtp://user@mail.example.com?from=noreply@acme.example&auth=xoauth2", "without a password"},
		{"smtp://user@mail.example.com?from=noreply@acme.example&auth=xoauth2&token_file=token", "not an absolute path"},
		{"smtp://user@mail.example.com?from=noreply@acme.example&auth=xoauth2&token_file=/no/such/file", "cannot be read"},
		{"smtp://mail.example.com", "parameter from"},
		{"smtp://mail.example.com?from=", "parameter from"},
		{"smtp://mail.example.com?from=acme", "parameter from"},
		{"smtp://mail.example.com?from=a@b.example,c@d.example", "parameter from"},
		{"smtp://mail.example.com?from=j%C3%BCrgen@acme.example", "parameter from"},
		{"smtp://mail.example.com?from=a@b.example&from=c@d.example", "unknown, empty or repeated"},
		{"smtp://mail.example.com?from=a@b.example&tls=none", "unknown, empty or repeated"},
		{"smtp://mail.example.com?from=a%zz@b.example", "escaped"},
		{"smtp://user@mail.example.com?from=a@b.example", "needs a password"},
		{"smtp://:pass@mail.example.com?from=a@b.example", "needs a password"},
		{"smtp://?from=a@b.example", "no host"},
		{"smtp:mail.example.com?from=a@b.example", "no host"},
		{"smtp://mail.example.com:0?from=a@b.example", "port"},
		{"smtp://mail.example.com:70000?from=a@b.example", "port"},
		{"smtp://mail.example.com/path?from=a@b.example", "path or a fragment"},
		{"smtp://mail.example.com?from=a@b.example#x", "path or a fragment"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			_, err := providers.Open(t.Context(), tt.url, delivery.Environment{Channel: delivery.ChannelEmail, Allowed: allowedNetworks})
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}

func TestOpenReportsEveryProblemWithoutSecrets(t *testing.T) {
	_, err := providers.Open(t.Context(), "smtp://hunter1@:0/hunter2?from=hunter3&starttls=hunter4&hunter5=6", delivery.Environment{})
	for _, want := range []string{"password", "no host", "port", "path", "from", "starttls", "unknown"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error repeats the URL: %v", err)
	}
	sender := open(t, "smtp://ada:hunter2@localhost?from=a@b.example")
	if text := fmt.Sprintf("%v %+v %#v", sender, sender, sender); strings.Contains(text, "hunter2") {
		t.Errorf("the sender prints its password: %s", text)
	}
}

func TestOpenWarnsAboutClearPassword(t *testing.T) {
	for _, tt := range []struct {
		parameters string
		warns      bool
	}{{"", false}, {"&starttls=required", false}, {clearPassword, true}} {
		var log bytes.Buffer
		env := delivery.Environment{Logger: slog.New(slog.NewJSONHandler(&log, nil)), Allowed: allowedNetworks}
		if _, err := providers.Open(t.Context(), "smtp://ada:hunter2@localhost"+from+tt.parameters, env); err != nil {
			t.Fatal(err)
		}
		if text := log.String(); strings.Contains(text, `"level":"WARN"`) != tt.warns || strings.Contains(text, "hunter2") {
			t.Errorf("%q: log %q", tt.parameters, text)
		}
	}
}

// Private addresses are refused unless the configuration allows them.
func TestSendRejectsPrivateServersPermanently(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]"} {
		if _, err := providers.Open(t.Context(), "smtp://"+host+"?from=a@b.example", delivery.Environment{}); err == nil {
			t.Errorf("%s can be configured", host)
		}
		u := &url.URL{Scheme: "smtp", Host: host, RawQuery: "from=a@b.example"}
		sender, err := smtp.Open(t.Context(), u, delivery.Environment{}.WithDefaults()) // without the check of Openers.Open, as for a name that resolves to the address
		if err != nil {
			t.Fatal(err)
		}
		requirePermanent(t, sender, newMessage())
	}
}

func TestOpenRejectsChannelsOtherThanEmail(t *testing.T) {
	for channel, ok := range map[string]bool{"": true, "email": true, "sms": false, "voice": false} {
		_, err := providers.Open(t.Context(), "smtp://mail.example.com?from=a@b.example", delivery.Environment{Channel: channel})
		if ok != (err == nil) {
			t.Errorf("channel %q: %v", channel, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("smtp://user:pass@mail.example.com:587/?from=ACME%20%3Ca@b.example%3E&starttls=required")
	f.Add("smtps://[::1]:465?from=a@b.example")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := providers.Open(t.Context(), text, delivery.Environment{}); err == nil && !strings.Contains(text, "from=") && !strings.Contains(text, "%") {
			t.Errorf("%q opened without a from", text)
		}
	})
}

func Example() {
	providers := delivery.Openers{"smtp": smtp.Open, "smtps": smtp.Open}
	_, err := providers.Open(context.Background(), "smtps://user:password@mail.example.com?from=ACME%20%3Cnoreply@acme.example%3E", delivery.Environment{})
	fmt.Println(err)

	_, err = providers.Open(context.Background(), "smtps://user:password@mail.example.com?form=noreply@acme.example", delivery.Environment{})
	fmt.Println(err)
	// Output:
	// <nil>
	// delivery: smtps: a parameter is unknown, empty or repeated: the parameters are auth, from, helo, password_without_tls, starttls, token_file
	// the parameter from is missing: the sender's address, such as noreply@acme.example or ACME <noreply@acme.example>
}
