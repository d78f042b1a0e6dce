package delivery_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// With its own country as default region, an E.164 number without + must become the same number or be refused, never become another
// number. The test uses numbers of every country, kind and length that the metadata has an example of.
func TestAddressPolicyNeverReadsNumberWithoutPlusAsAnotherNumber(t *testing.T) {
	kinds := []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE, phonenumbers.VOIP, phonenumbers.PERSONAL_NUMBER, phonenumbers.TOLL_FREE, phonenumbers.UAN}
	tried, refused := 0, map[string]bool{}
	for region := range phonenumbers.GetSupportedRegions() {
		p := newPolicy(t, delivery.Addresses{AllCountries: true, DefaultRegion: region})
		for _, kind := range kinds {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil {
				continue
			}
			whole := phonenumbers.Format(example, phonenumbers.E164)
			for cut := range 4 { // numbering plans with variable lengths have shorter and longer numbers
				for _, e164 := range []string{whole[:len(whole)-cut], whole + strings.Repeat("7", cut)} {
					if number, err := phonenumbers.Parse(e164, ""); err != nil || !phonenumbers.IsValidNumber(number) {
						continue
					}
					tried++
					got, err := p("sms", e164[1:])
					if got.Value != "" && got.Value != e164 {
						t.Errorf("%s: %s became %s", region, e164[1:], got.Value)
					}
					if errors.Is(err, watchword.ErrInvalidRequest) {
						refused[region] = true
					}
				}
			}
		}
	}
	if tried < 1000 || !refused["DE"] || refused["US"] || refused["GB"] || refused["FR"] {
		t.Errorf("%d numbers tried; refused in %v", tried, refused)
	}
}

func TestAddressPolicyReadsNumbersOfTheDefaultRegion(t *testing.T) {
	for _, tt := range []struct{ region, to, want string }{
		{"DE", "015112345678", "+4915112345678"}, {"DE", "15112345678", "+4915112345678"}, {"DE", "030123456", "+4930123456"}, {"DE", "+4915112345678", "+4915112345678"},
		{"DE", "4915112345678", ""}, {"DE", "49301234567", "+49301234567"}, {"AT", "4366412345678", "+4366412345678"}, {"NL", "31612345678", "+31612345678"}, {"AT", "066412345678", "+4366412345678"},
		{"US", "4155550123", "+14155550123"}, {"US", "14155550123", "+14155550123"}, {"CA", "16135550123", "+16135550123"},
		{"GB", "07911123456", "+447911123456"}, {"GB", "447911123456", "+447911123456"}, {"FR", "0612345678", "+33612345678"}, {"FR", "33612345678", "+33612345678"},
		{"NO", "47123456", "+4747123456"}, {"IN", "9198765432", "+919198765432"}, {"IN", "919198765432", "+919198765432"},
	} {
		got, err := newPolicy(t, delivery.Addresses{AllCountries: true, DefaultRegion: tt.region})("sms", tt.to)
		if got.Value != tt.want || (tt.want == "") != errors.Is(err, watchword.ErrInvalidRequest) {
			t.Errorf("%s %s: %q %v, want %q", tt.region, tt.to, got.Value, err, tt.want)
		}
		var refused *watchword.Error
		if errors.As(err, &refused) && (len(refused.Fields) != 1 || refused.Fields[0].Field != "to" || !strings.Contains(refused.Fields[0].Reason, "E.164")) {
			t.Errorf("%s %s: %+v", tt.region, tt.to, refused)
		}
	}
}
