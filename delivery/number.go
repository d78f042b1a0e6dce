package delivery

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/watchword-auth/watchword"
)

// nonGeographicCodes are the calling codes that belong to no country (ITU-T E.164 annex D): satellite networks, universal
// freephone, shared cost, personal and premium numbers. Messages to them are expensive, and anybody can rent such numbers to
// earn a share of the price.
var nonGeographicCodes = map[int]bool{
	800: true, 808: true, 870: true, 878: true, 881: true, 882: true, 883: true, 888: true, 979: true, 991: true,
}

const (
	minDigits = 5  // the shortest assigned numbers
	maxDigits = 15 // ITU-T E.164 §6
)

// parseNumber accepts + and digits or, with a default region, a national number of digits only. It rejects everything else
// before it calls the library, which also accepts extensions, letters, digits of other scripts and punctuation.
func parseNumber(text, defaultRegion string) (parsedAddress, error) {
	digits, international := strings.CutPrefix(text, "+")
	if len(digits) < minDigits || len(digits) > maxDigits || strings.Trim(digits, "0123456789") != "" {
		return parsedAddress{}, invalidRecipient("is not a plain phone number: + and digits only")
	}
	if !international && defaultRegion == "" {
		return parsedAddress{}, invalidRecipient("needs the + and the country's calling code")
	}
	number, err := phonenumbers.Parse(text, defaultRegion)
	if err != nil {
		return parsedAddress{}, invalidRecipient("is not an assigned phone number")
	}
	value := phonenumbers.Format(number, phonenumbers.E164)
	code := int(number.GetCountryCode())
	mismatch := !international && code != phonenumbers.GetCountryCodeForRegion(defaultRegion) || // an international prefix: 011 44 ...
		international && value != text || // a trunk prefix inside: +44 0 20 ...
		len(value) > 1+maxDigits
	a := parsedAddress{
		Address:     newPhoneAddress(value, strconv.Itoa(code)),
		callingCode: code,
		lineType:    phonenumbers.GetNumberType(number),
	}
	if !international && isAmbiguous(digits, value, code) {
		return parsedAddress{}, invalidRecipient("can be read with and without its calling code: write it in E.164, with the +")
	}
	// Numbers of non-geographic codes pass here, assigned or not: checkDestination refuses them with their own reason.
	if mismatch || a.lineType == phonenumbers.UNKNOWN && !nonGeographicCodes[code] {
		return parsedAddress{}, invalidRecipient("is not an assigned phone number")
	}
	a.Country = phonenumbers.GetRegionCodeForNumber(number)
	return a, nil
}

// isAmbiguous reports whether digits that were parsed as a national number are also a valid international number of the same
// country without its +. The two belong to different people: in Germany 4915112345678 is a mobile number, and also a number in
// the area 04915.
func isAmbiguous(digits, value string, code int) bool {
	other := "+" + digits
	if value == other || !strings.HasPrefix(digits, strconv.Itoa(code)) {
		return false
	}
	number, err := phonenumbers.Parse(other, "")
	return err == nil && phonenumbers.IsValidNumber(number)
}

// isOrdinaryLine reports whether a line belongs to a person and is charged at the usual rate. Fixed lines are included:
// calls reach them, and some countries read SMS aloud to them.
func isOrdinaryLine(t phonenumbers.PhoneNumberType) bool {
	switch t {
	case phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.VOIP:
		return true
	}
	return false
}

const (
	prefixDigits = 6 // national digits of a prefix
	openDigits   = 4 // final digits that a prefix leaves out: numbers are assigned in blocks of ten thousand
)

// newPhoneAddress returns the address of an E.164 number, with every field but Country.
func newPhoneAddress(value, code string) watchword.Address {
	national := value[1+len(code):]
	leading := max(0, min(prefixDigits, len(national)-openDigits))
	return watchword.Address{
		Value:  value,
		Masked: "+" + code + " " + maskDigits(national),
		Kind:   KindPhone,
		Prefix: value[:1+len(code)+leading],
	}
}
