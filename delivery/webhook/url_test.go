package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"pgregory.net/rapid"
)

func TestOpenChecksURLs(t *testing.T) {
	tests := []struct {
		url  string
		dev  bool
		want string // part of the error; empty: no error
	}{
		{"webhook+https://example.com/a/b?secret=" + secretA, false, ""},
		{"webhook+https://example.com?secret=" + url.QueryEscape(secretA), false, ""},
		{"webhook+https://example.com?secret=v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw&format=supabase", false, ""},
		{"webhook+https://example.com?secret=" + secretA + "&secret=" + secretB + "&format=clerk", false, ""},
		{"webhook+http://localhost:1/?secret=" + secretA, true, ""},
		{"webhook+http://[::1]:1/?secret=" + secretA, true, ""},
		{"webhook+http://127.3.2.1/?secret=" + secretA, true, ""},
		{"webhook+http://[::ffff:127.0.0.1]:1/?secret=" + secretA, true, "IPv4-mapped"},
		{"webhook+http://[::ffff:7f00:1]/?secret=" + secretA, true, "IPv4-mapped"},
		{"webhook+https://[::ffff:127.0.0.1]/?secret=" + secretA, true, "IPv4-mapped"},
		{"webhook+https://[::ffff:8.8.8.8]/?secret=" + secretA, false, "IPv4-mapped"},
		{"webhook+http://[::1%25lo]/?secret=" + secretA, true, "plain http"},
		{"webhook+http://127.1/?secret=" + secretA, true, "plain http"},
		{"webhook+http://2130706433/?secret=" + secretA, true, "plain http"},
		{"webhook+http://localhost/?secret=" + secretA, false, "plain http"},
		{"webhook+http://example.com/?secret=" + secretA, true, "plain http"},
		{"webhook+http://localhost.example.com/?secret=" + secretA, true, "plain http"},
		{"webhook+https://example.com/", false, "secret is missing"},
		{"webhook+https://example.com/?secret=", false, "begins with whsec_"},
		{"webhook+https://example.com/?secret=whsec_", false, "24 to 64 bytes"},
		{"webhook+https://example.com/?secret=whsec_c2hvcnRzZWNyZXQ=", false, "24 to 64 bytes"},
		{"webhook+https://example.com/?secret=whsec_" + strings.Repeat("A", 88), false, "24 to 64 bytes"},
		{"webhook+https://example.com/?secret=whsec_not*base64", false, "base64"},
		{"webhook+https://example.com/?secret=" + secretA + "&secret=whsec_c2hvcnRzZWNyZXQ=", false, "secret 2"},
		{"webhook+https://example.com/?secret=" + secretA + "&format=svix", false, "neither clerk nor supabase"},
		{"webhook+https://example.com/?secret=" + secretA + "&format=clerk&format=clerk", false, "format is repeated"},
		{"webhook+https://example.com/?secert=" + secretA, false, "unknown parameter"},
		{"webhook+https://example.com/?" + secretA, false, "unknown parameter"},
		{"webhook+https://example.com/?secret=%zz" + secretA, false, "escaped"},
		{"webhook+https://user:" + secretA + "@example.com/?secret=" + secretA, false, "which are not used"},
		{"webhook+https://example.com/#?secret=" + secretA, false, "fragment"},
		{"webhook+https:///path?secret=" + secretA, false, "no host"},
		{"webhook+https:example.com?secret=" + secretA, false, "no host"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			_, err := providers.Open(t.Context(), tt.url, delivery.Environment{Development: tt.dev})
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want it to say %q", err, tt.want)
			case err != nil && (strings.Contains(err.Error(), "C2FVs") || strings.Contains(err.Error(), "c2hvc")):
				t.Errorf("the error contains the secret: %v", err)
			}
		})
	}
}

func TestOpenReportsEveryProblem(t *testing.T) {
	_, err := providers.Open(t.Context(), "webhook+http://u@example.com/?secret=x&format=y&z=1#f", delivery.Environment{})
	for _, want := range []string{"plain http", "begins with", "neither clerk", "unknown parameter", "user or password", "fragment"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

func TestSignMatchesVector(t *testing.T) {
	raw, err := os.ReadFile("../../../shared/vectors/otp.json")
	if err != nil {
		t.Skip("the vector file ../shared/vectors/otp.json is not here")
	}
	var file struct {
		Vector struct{ Secret, ID, Timestamp, Body, Signature string } `json:"standard_webhooks"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	v := file.Vector
	secret, err := webhook.ParseSecret(v.Secret)
	if err != nil {
		t.Fatal(err)
	}
	var seconds int64
	if _, err := fmt.Sscan(v.Timestamp, &seconds); err != nil {
		t.Fatal(err)
	}
	if got := webhook.Sign([]webhook.Secret{secret}, v.ID, time.Unix(seconds, 0), []byte(v.Body)); got != v.Signature {
		t.Errorf("got %s, want %s", got, v.Signature)
	}
}

func TestSignAgreesWithStandardWebhooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id, body := rapid.String().Draw(t, "id"), rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		at := time.Unix(rapid.Int64Range(0, 1<<40).Draw(t, "at"), 0)
		var secrets []webhook.Secret
		var want []string
		for _, text := range rapid.SliceOfN(rapid.SampledFrom([]string{secretA, secretB}), 1, 3).Draw(t, "secrets") {
			secret, err := webhook.ParseSecret(text)
			if err != nil {
				t.Fatal(err)
			}
			oracle, err := standardwebhooks.NewWebhook(text)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := oracle.Sign(id, at, body)
			if err != nil {
				t.Fatal(err)
			}
			secrets, want = append(secrets, secret), append(want, signature)
		}
		if got := webhook.Sign(secrets, id, at, body); got != strings.Join(want, " ") {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add("webhook+https://example.com/a?secret=" + secretA)
	f.Add("webhook+http://[::1]:1/?secret=v1,whsec_AAAA&format=clerk#x")
	f.Fuzz(func(t *testing.T, text string) {
		sender, err := providers.Open(t.Context(), text, delivery.Environment{})
		if err == nil && !strings.Contains(text, "whsec_") && !strings.Contains(text, "%") {
			t.Errorf("%q opened %v without a secret", text, sender)
		}
		if err == nil && strings.HasPrefix(strings.ToLower(text), "webhook+http:") {
			t.Errorf("%q opened plain http", text)
		}
	})
}

func FuzzParseSecret(f *testing.F) {
	f.Add(secretA)
	f.Add("v1,whsec_AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := webhook.ParseSecret(text)
		if err != nil && len(text) > 16 && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats the text: %v", err)
		}
		if err == nil && fmt.Sprintf("%v", secret) == "" {
			t.Error("prints as nothing")
		}
	})
}

func ExampleSign() {
	secret, err := webhook.ParseSecret(secretB)
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Unix(1614265330, 0)
	fmt.Println(webhook.Sign([]webhook.Secret{secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`)))
	// Output: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
}
