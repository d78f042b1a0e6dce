package delivery

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/watchword-auth/watchword"
)

// nonGeographicCodes are the calling codes of networks and services that belong to no country (ITU-T E.164 annex D): satellite
// networks, universal freephone, shared cost, personal and premium numbers. Calls and messages there are dear, and
// numbers are rented to whoever wants to earn by them.
var nonGeographicCodes = map[int]bool{
	800: true, 808: true, 870: true, 878: true, 881: true, 882: true, 883: true, 888: true, 979: true, 991: true,
}

const (
	minDigits = 5  // of a number that is looked at at all; the shortest that are assigned
	maxDigits = 15 // ITU-T E.164 §6
)

// parseNumber accepts + and digits or, with a default region, a national number of digits only. The library also reads
// extensions, letters, digits of other scripts and punctuation; none of that reaches it.
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
	wrong := !international && code != phonenumbers.GetCountryCodeForRegion(defaultRegion) || // dialled abroad: 011 44 ...
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
	// The networks without a country are refused as what they are, whether or not the number is assigned.
	if wrong || a.lineType == phonenumbers.UNKNOWN && !nonGeographicCodes[code] {
		return parsedAddress{}, invalidRecipient("is not an assigned phone number")
	}
	a.Country = phonenumbers.GetRegionCodeForNumber(number)
	return a, nil
}

// isAmbiguous reports whether digits that were read as a national number are also a number of the same country that only
// lacks its +. One of the two is somebody else's: 4915112345678 in Germany is a mobile, and one in the area 04915.
func isAmbiguous(digits, value string, code int) bool {
	other := "+" + digits
	if value == other || !strings.HasPrefix(digits, strconv.Itoa(code)) {
		return false
	}
	number, err := phonenumbers.Parse(other, "")
	return err == nil && phonenumbers.IsValidNumber(number)
}

// isOrdinaryLine reports whether a line belongs to a person and costs what a call costs. Fixed lines are: voice reaches
// them, and in some countries SMS is read out to them.
func isOrdinaryLine(t phonenumbers.PhoneNumberType) bool {
	switch t {
	case phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.VOIP:
		return true
	}
	return false
}

const (
	prefixDigits = 6 // national digits of a prefix
	openDigits   = 4 // digits that a prefix leaves open: numbers are given out by the ten thousand
)

// newPhoneAddress fills what is known of an E.164 number without its country.
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
