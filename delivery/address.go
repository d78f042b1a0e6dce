package delivery

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
)

// ChannelEmail is the only channel whose addresses are mailboxes. Addresses of every other channel are phone numbers.
const ChannelEmail = "email"

// Values of watchword.Address.Kind.
const (
	KindEmail = "email"
	KindPhone = "phone"
)

// Values of watchword.Error.Reason for an ErrDestinationRefused.
const (
	ReasonCountry  = "country"
	ReasonLineType = "line_type"
	ReasonPrefix   = "prefix"
	ReasonBlocked  = "blocked"
)

// Addresses configures which addresses may receive messages. The zero Addresses allows every mailbox with an ASCII local part,
// and ordinary phone numbers of the US and Canada in E.164.
type Addresses struct {
	Countries       []string // allowed countries of phone numbers, ISO 3166-1 alpha-2; empty: US and CA
	AllCountries    bool     // allows every country; premium and other special numbers stay refused
	DefaultRegion   string   // ISO 3166-1 alpha-2 code of numbers without +; empty: numbers need the +
	UTF8Local       bool     // allows non-ASCII local parts; the mail server must support SMTPUTF8 (RFC 6531)
	Blocked         []string // refused addresses
	BlockedPrefixes []string // refused number ranges: + and leading digits
}

// NewAddressPolicy returns the policy, or an error that lists every problem of the configuration. The policy converts all
// accepted spellings of an address to the same canonical form:
//
//   - A mailbox must be one addr-spec (RFC 5321 §4.1.2) of at most 254 octets with an unquoted local part. The domain becomes
//     lower-case A-labels (RFC 5891). Only ASCII letters change case; no other character is mapped, so a look-alike of a domain
//     is a different domain or is refused. The local part is not changed.
//   - A number becomes E.164. It must be + and digits or, with a default region, digits only. Digits are refused if
//     they are one valid number with the region's calling code in front, and another one with only a + in front.
//
// If the channel is empty, the policy returns the canonical form without refusing it; an @ then marks a mailbox.
func NewAddressPolicy(a Addresses) (watchword.AddressPolicy, error) {
	if len(a.Countries) == 0 {
		a.Countries = []string{"US", "CA"}
	}
	p := &addressPolicy{Addresses: a, callingCodes: map[int]bool{}, blocked: map[string]bool{}}
	var problems []error
	for i, country := range a.Countries {
		code := phonenumbers.GetCountryCodeForRegion(country)
		if code == 0 {
			problems = append(problems, setting.Errorf(fmt.Sprintf("Countries[%d]", i), "%q is not an ISO 3166-1 alpha-2 code in upper case", country))
		}
		p.callingCodes[code] = true
	}
	if a.DefaultRegion != "" && phonenumbers.GetCountryCodeForRegion(a.DefaultRegion) == 0 {
		problems = append(problems, setting.Errorf("DefaultRegion", "%q is not an ISO 3166-1 alpha-2 code in upper case", a.DefaultRegion))
	}
	for i, address := range a.Blocked {
		canonical, err := p.parse("", address)
		if err != nil {
			problems = append(problems, setting.Errorf(fmt.Sprintf("Blocked[%d]", i), "is neither a mail address nor a phone number"))
		}
		p.blocked[blockKey(canonical.Value)] = true
	}
	for i, prefix := range a.BlockedPrefixes {
		if !prefixPattern.MatchString(prefix) {
			problems = append(problems, setting.Errorf(fmt.Sprintf("BlockedPrefixes[%d]", i), "is not a + and up to 15 digits"))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return p.resolve, nil
}

var prefixPattern = regexp.MustCompile(`^\+[1-9][0-9]{0,14}$`)

type addressPolicy struct {
	Addresses
	callingCodes map[int]bool    // of Countries
	blocked      map[string]bool // keys are of blockKey
}

// resolve implements watchword.AddressPolicy.
func (p *addressPolicy) resolve(channel, address string) (watchword.Address, error) {
	a, err := p.parse(channel, address)
	if err != nil || channel == "" {
		return a.Address, err
	}
	return a.Address, p.checkDestination(a)
}

// A parsedAddress is an address with the properties by which it may be refused.
type parsedAddress struct {
	watchword.Address
	callingCode int
	lineType    phonenumbers.PhoneNumberType
}

func (p *addressPolicy) parse(channel, address string) (parsedAddress, error) {
	if channel == ChannelEmail || channel == "" && strings.Contains(address, "@") {
		mailbox, err := parseMailbox(address, p.UTF8Local)
		return parsedAddress{Address: mailbox}, err
	}
	return parseNumber(address, p.DefaultRegion)
}

// checkDestination returns an ErrDestinationRefused if messages must not be sent to a valid address.
func (p *addressPolicy) checkDestination(a parsedAddress) error {
	if p.blocked[blockKey(a.Value)] {
		return destinationRefused(ReasonBlocked)
	}
	if a.Kind != KindPhone {
		return nil
	}
	hasPrefix := func(prefix string) bool { return strings.HasPrefix(a.Value, prefix) }
	switch {
	case nonGeographicCodes[a.callingCode], slices.ContainsFunc(p.BlockedPrefixes, hasPrefix):
		return destinationRefused(ReasonPrefix)
	case !isOrdinaryLine(a.lineType):
		return destinationRefused(ReasonLineType)
	case p.AllCountries:
		return nil
	case !p.callingCodes[a.callingCode], !slices.Contains(p.Countries, a.Country):
		return destinationRefused(ReasonCountry)
	}
	return nil
}

// blockKey returns the form in which blocked addresses are compared. The case of ASCII letters makes no difference.
func blockKey(canonical string) string { return lowerASCII(canonical) }

func destinationRefused(reason string) error {
	return &watchword.Error{Code: watchword.ErrDestinationRefused.Code, Reason: reason}
}

// invalidRecipient returns an ErrInvalidRequest about the recipient. The reason must not contain the address.
func invalidRecipient(reason string) error {
	return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{{Field: "to", Reason: reason}}}
}
