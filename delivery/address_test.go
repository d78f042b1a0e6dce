package delivery_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func newPolicy(t testing.TB, a delivery.Addresses) watchword.AddressPolicy {
	t.Helper()
	p, err := delivery.NewAddressPolicy(a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAddressPolicyReturnsCanonicalAndMaskedForm(t *testing.T) {
	everywhere := newPolicy(t, delivery.Addresses{AllCountries: true, DefaultRegion: "GB", UTF8Local: true})
	for _, c := range []struct{ channel, in, value, masked, country, prefix string }{
		{"email", "alice@example.com", "alice@example.com", "a•••@example.com", "", ""},
		{"email", "Alice.B+x@EXAMPLE.Com", "Alice.B+x@example.com", "A•••@example.com", "", ""},
		{"email", "al@ex.io", "al@ex.io", "•••@ex.io", "", ""},
		{"email", "bob@mail.example.co.uk", "bob@mail.example.co.uk", "b•••@mail.example.co.uk", "", ""},
		{"email", "o'hara!#$%&*+-/=?^_`{|}~@example.com", "o'hara!#$%&*+-/=?^_`{|}~@example.com", "o•••@example.com", "", ""},
		{"email", "anna@bücher.example", "anna@xn--bcher-kva.example", "a•••@xn--bcher-kva.example", "", ""},
		{"email", "anna@XN--Bcher-KVA.example", "anna@xn--bcher-kva.example", "a•••@xn--bcher-kva.example", "", ""},
		{"email", "zoë@example.com", "zoë@example.com", "z•••@example.com", "", ""},
		{"", "alice@example.com", "alice@example.com", "a•••@example.com", "", ""},
		{"sms", "+14155550123", "+14155550123", "+1 ••• ••• ••23", "US", "+1415555"},
		{"voice", "+442079460000", "+442079460000", "+44 ••• ••• ••00", "GB", "+44207946"},
		{"sms", "02079460000", "+442079460000", "+44 ••• ••• ••00", "GB", "+44207946"},
		{"whatsapp", "+8613812345678", "+8613812345678", "+86 ••• ••• ••• 78", "CN", "+86138123"},
		{"sms", "+390612345678", "+390612345678", "+39 ••• ••• ••78", "IT", "+39061234"},
		{"", "+14155550123", "+14155550123", "+1 ••• ••• ••23", "US", "+1415555"},
	} {
		got, err := everywhere(c.channel, c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		want := watchword.Address{Value: c.value, Masked: c.masked, Country: c.country, Prefix: c.prefix, Kind: delivery.KindPhone}
		if strings.Contains(c.in, "@") {
			want.Kind, want.Key = delivery.KindEmail, strings.ToLower(c.value)
		}
		if got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", c.in, got, want)
		}
	}
}

// hostile recipients must be invalid in every configuration.
var hostile = []struct{ channel, address string }{
	{"email", ""}, {"email", "@"}, {"email", "alice"}, {"email", "alice@"}, {"email", "@example.com"},
	{"email", "alice@example.com,bob@example.com"}, {"email", "alice@example.com;bob@example.com"},
	{"email", "alice@example.com bob@example.com"}, {"email", "alice@example.com\r\nBcc: bob@example.com"},
	{"email", "alice@example.com\nbob@example.com"}, {"email", "alice\r\n@example.com"}, {"email", "alice@example.com\x00"},
	{"email", "alice\x00@example.com"}, {"email", " alice@example.com"}, {"email", "alice@example.com "}, {"email", "alice @example.com"},
	{"email", "\talice@example.com"}, {"email", "alice@example.com\u00a0"}, {"email", "alice\u200b@example.com"}, {"email", "\ufeffalice@example.com"},
	{"email", `"alice"@example.com`}, {"email", `"a@evil.example"@example.com`}, {"email", `"a b"@example.com`}, {"email", `"\"@example.com`},
	{"email", "alice(comment)@example.com"}, {"email", "alice@(comment)example.com"}, {"email", "Alice <alice@example.com>"},
	{"email", "<alice@example.com>"}, {"email", "<@relay.example:alice@example.com>"}, {"email", "friends: alice@example.com;"},
	{"email", "alice@evil.example@example.com"}, {"email", "alice%evil.example@"}, {"email", "mailto:alice@example.com"}, {"email", "alice@example.com?cc=bob@example.com"},
	{"email", ".alice@example.com"}, {"email", "alice.@example.com"}, {"email", "al..ice@example.com"}, {"email", `al\ice@example.com`},
	{"email", "alice@localhost"}, {"email", "alice@example.com."}, {"email", "alice@.example.com"}, {"email", "alice@example..com"},
	{"email", "alice@-example.com"}, {"email", "alice@exa_mple.com"}, {"email", "alice@[127.0.0.1]"}, {"email", "alice@127.0.0.1"}, {"email", "alice@[IPv6:::1]"},
	{"email", "alice@example.com/evil"}, {"email", "alice@ｅxample.com"}, {"email", "alice@example。com"}, {"email", "alice@\u212aexample.com"},
	{"email", "alice@exam\u00adple.com"}, {"email", "alice@exam\u200dple.com"}, {"email", "alice@example.com\u202e"}, {"email", "alice@xn--zzzz.com"},
	{"email", "a\u212aice@example.com\u0000"}, {"email", "zoe\u0308@example.com"}, {"email", "alıce\u202e@example.com"}, {"email", "\xff@example.com"}, {"email", "alice@\xff.com"},
	{"email", strings.Repeat("a", 65) + "@example.com"}, {"email", "a@" + strings.Repeat("a", 64) + ".com"}, {"email", strings.Repeat("a", 1<<20)},
	{"email", "a@" + strings.Repeat("abcdefghi.", 26) + "com"}, {"email", "a@" + strings.Repeat("ü.", 80) + "com"}, {"email", "+14155550123"},
	{"email", strings.Repeat("a", 60) + "@" + strings.Repeat("ü.", 30) + "com"}, // short enough only before it is encoded
	{"sms", ""}, {"sms", "+"}, {"sms", "alice@example.com"}, {"sms", "+1 415 555 0123"}, {"sms", " +14155550123"}, {"sms", "+14155550123\n"},
	{"sms", "+1-415-555-0123"}, {"sms", "(415)5550123"}, {"sms", "+1\u00a04155550123"}, {"sms", "+1\u200b4155550123"}, {"sms", "+14155550123;ext=5"},
	{"sms", "+14155550123,5"}, {"sms", "+14155550123x5"}, {"sms", "tel:+14155550123"}, {"sms", "tel:4155550123;phone-context=+1"}, {"sms", "+1415FLOWERS"},
	{"sms", "1-800-FLOWERS"}, {"sms", "+١٤١٥٥٥٥٠١٢٣"}, {"sms", "+１４１５５５５０１２３"}, {"sms", "＋14155550123"}, {"sms", "++14155550123"}, {"sms", "+14155550123+14155550124"},
	{"sms", "+14155550123,+14155550124"}, {"sms", "+4402079460000"}, {"sms", "0114420 79460000"}, {"sms", "0014155550123"}, {"sms", "+0014155550123"},
	{"sms", "911"}, {"sms", "+1911"}, {"sms", "112"}, {"sms", "+10000000000"}, {"sms", "+11234567890"}, {"sms", "+999123456789"}, {"sms", "+1415555012"}, {"sms", "+141555501234"},
	{"sms", "+" + strings.Repeat("1", 1<<20)}, {"sms", "+1415555\x000123"}, {"sms", "whatsapp:+14155550123"}, {"whatsapp", "whatsapp:+14155550123"}, {"voice", "sip:alice@example.com"},
	{"sms", "020 79460000"}, {"sms", "(020)79460000"}, {"sms", "020-7946-0000"}, {"sms", "02079460000\n"}, {"sms", "02079460000#5"}, {"sms", "02079460000x5"}, {"sms", "tel:02079460000"},
}

func TestAddressPolicyRejectsHostileRecipients(t *testing.T) {
	open := newPolicy(t, delivery.Addresses{AllCountries: true, DefaultRegion: "GB", UTF8Local: true})
	for _, c := range hostile {
		got, err := open(c.channel, c.address)
		var problem *watchword.Error
		if !errors.As(err, &problem) || !errors.Is(err, watchword.ErrInvalidRequest) || len(problem.Fields) != 1 || problem.Fields[0].Field != "to" {
			t.Errorf("%s %.60q: %+v, %v; want invalid_request of to", c.channel, c.address, got, err)
		}
		if got != (watchword.Address{}) {
			t.Errorf("%s %.60q: an address beside the error: %+v", c.channel, c.address, got)
		}
		if c.address != "" && len(c.address) > 1 && strings.Contains(err.Error(), c.address) {
			t.Errorf("%s %.60q: the error repeats it", c.channel, c.address)
		}
	}
}

func TestAddressPolicyRejectsUTF8AndNationalNumbersByDefault(t *testing.T) {
	p := newPolicy(t, delivery.Addresses{})
	german := newPolicy(t, delivery.Addresses{AllCountries: true, DefaultRegion: "DE"})
	if a, err := german("sms", "20100000000000"); !errors.Is(err, watchword.ErrInvalidRequest) {
		t.Errorf("sixteen digits are %+v, %v", a, err)
	}
	for _, c := range []struct{ channel, address string }{{"email", "zoë@example.com"}, {"email", "alıce@example.com"}, {"sms", "4155550123"}} {
		if _, err := p(c.channel, c.address); !errors.Is(err, watchword.ErrInvalidRequest) {
			t.Errorf("%q: %v", c.address, err)
		}
	}
}

// An address that looks like another one must not become that address: it stays different or is refused (Django CVE-2019-19844).
func TestAddressPolicyKeepsLookAlikesApart(t *testing.T) {
	p := newPolicy(t, delivery.Addresses{UTF8Local: true})
	for _, pair := range [][2]string{
		{"mike@example.org", "mıke@example.org"}, {"mike@apple.com", "mike@аpple.com"}, {"mike@example.org", "miKe@example.org"},
		{"mike@example.org", "mike@exampIe.org"}, {"mike@example.org", "ⅿike@example.org"}, {"mike@strasse.de", "mike@straße.de"},
		{"mike@example.org", "mike+x@example.org"}, {"mike@example.org", "m.ike@example.org"}, {"mike@google.com", "mike@google.com\u0307"},
	} {
		first, err := p("email", pair[0])
		if err != nil {
			t.Fatal(err)
		}
		if second, err := p("email", pair[1]); err == nil && second.Value == first.Value {
			t.Errorf("%q became %q", pair[1], pair[0])
		}
	}
}

func TestAddressPolicyRefusesDestinationsWithReason(t *testing.T) {
	defaults := delivery.Addresses{}
	open := delivery.Addresses{AllCountries: true}
	blocking := delivery.Addresses{Blocked: []string{"+14155550123", "Mallory@Example.com"}, BlockedPrefixes: []string{"+1212"}}
	for _, c := range []struct {
		addresses        delivery.Addresses
		channel, address string
		reason           string // empty: allowed
	}{
		{defaults, "sms", "+14155550123", ""}, {defaults, "sms", "+16135550123", ""},
		{defaults, "sms", "+442079460000", "country"}, {defaults, "sms", "+18765551234", "country"}, {defaults, "sms", "+17875551234", "country"},
		{delivery.Addresses{Countries: []string{"DE"}}, "sms", "+14155550123", "country"},
		{delivery.Addresses{Countries: []string{"GB"}}, "sms", "+447781123456", "country"}, // Guernsey, the same calling code
		{delivery.Addresses{Countries: []string{"GB"}}, "sms", "+447400123456", ""},
		{open, "sms", "+442079460000", ""}, {open, "sms", "+18765551234", ""},
		{open, "sms", "+19005551234", "line_type"}, {open, "voice", "+18005551234", "line_type"}, {open, "sms", "+447012345678", "line_type"},
		{open, "sms", "+448454640000", "line_type"}, {open, "sms", "+443069990000", "line_type"},
		{open, "sms", "+80012345678", "prefix"}, {open, "sms", "+80812345678", "prefix"}, {open, "sms", "+870773111632", "prefix"},
		{open, "sms", "+881612345678", "prefix"}, {open, "sms", "+8823456789012", "prefix"}, {open, "sms", "+883510012345", "prefix"},
		{open, "sms", "+8881234567", "prefix"}, {open, "sms", "+979123456789", "prefix"}, {open, "sms", "+87812345678901", "prefix"},
		{blocking, "sms", "+14155550123", "blocked"}, {blocking, "sms", "+14155550124", ""}, {blocking, "voice", "+12125550123", "prefix"},
		{blocking, "email", "mallory@example.com", "blocked"}, {blocking, "email", "MALLORY@EXAMPLE.COM", "blocked"}, {blocking, "email", "mallory@example.org", ""},
		{defaults, "", "+442079460000", ""}, {blocking, "", "mallory@example.com", ""}, // only the canonical form is asked for
	} {
		got, err := newPolicy(t, c.addresses)(c.channel, c.address)
		var problem *watchword.Error
		switch {
		case got.Value == "":
			t.Errorf("%s: no address beside %v", c.address, err)
		case c.reason == "" && err != nil:
			t.Errorf("%s: %v, want allowed", c.address, err)
		case c.reason != "" && (!errors.As(err, &problem) || !errors.Is(err, watchword.ErrDestinationRefused) || problem.Reason != c.reason):
			t.Errorf("%s: %v, want refused for its %s", c.address, err, c.reason)
		}
	}
}

func TestNewAddressPolicyReportsEveryProblem(t *testing.T) {
	_, err := delivery.NewAddressPolicy(delivery.Addresses{
		Countries: []string{"US", "xx", "UK"}, DefaultRegion: "us", Blocked: []string{"secret@"}, BlockedPrefixes: []string{"1900"}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`"xx"`, `"UK"`, `"us"`, "Blocked[0]: ", "BlockedPrefixes[0]: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not name %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%v: contains an address", err)
	}
}

// FuzzAddress checks that an accepted address is one line without separators of recipients, that its canonical form is stable, and
// that its mask hides its local part or number.
func FuzzAddress(f *testing.F) {
	for _, c := range hostile {
		if len(c.address) < 300 {
			f.Add(c.channel, c.address)
		}
	}
	f.Add("email", "Alice@bücher.example")
	f.Add("sms", "+14155550123")
	p := newPolicy(f, delivery.Addresses{AllCountries: true, DefaultRegion: "DE", UTF8Local: true})
	f.Fuzz(func(t *testing.T, channel, address string) {
		a, err := p(channel, address)
		if err != nil {
			return
		}
		again, err := p(channel, a.Value)
		if err != nil || again != a {
			t.Errorf("%q is canonical, but becomes %+v, %v", a.Value, again, err)
		}
		if !utf8.ValidString(a.Value) || strings.ContainsAny(a.Value, " \t\r\n\x00,;<>()[]\"\\:") {
			t.Errorf("%q is more than one plain address", a.Value)
		}
		switch a.Kind {
		case delivery.KindEmail:
			local, domain, _ := strings.Cut(a.Value, "@")
			maskedLocal, maskedDomain, _ := strings.Cut(a.Masked, "@")
			if maskedLocal == local || maskedDomain != domain || !strings.HasSuffix(maskedLocal, "•••") || !strings.HasPrefix(address, local+"@") || len(a.Value) > 254 {
				t.Errorf("%q: %+v", address, a)
			}
		case delivery.KindPhone:
			shown := strings.Trim(strings.ReplaceAll(strings.ReplaceAll(a.Masked, "•", ""), " ", ""), "+")
			if len(shown) > len(a.Value)-4 || !strings.HasPrefix(a.Value, a.Prefix) || a.Country == "" || strings.Trim(a.Value, "+0123456789") != "" {
				t.Errorf("%q: %+v", address, a)
			}
		default:
			t.Errorf("%q: kind %q", address, a.Kind)
		}
	})
}

func BenchmarkAddress(b *testing.B) {
	p := newPolicy(b, delivery.Addresses{})
	for _, address := range []string{"+14155550123", "alice@example.com"} {
		b.Run(address[:1], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p("", address); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
