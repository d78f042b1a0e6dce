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

// ChannelEmail is the one channel whose addresses are mailboxes. Those of every other channel are phone numbers.
const ChannelEmail = "email"

// Kinds of addresses, for watchword.Address.
const (
	KindEmail = "email"
	KindPhone = "phone"
)

// Reasons of a destination_refused error.
const (
	ReasonCountry  = "country"
	ReasonLineType = "line_type"
	ReasonPrefix   = "prefix"
	ReasonBlocked  = "blocked"
)

// Addresses says which addresses messages may go to. The zero Addresses allows every mailbox with an ASCII local part,
// and the ordinary phone numbers of the US and Canada in E.164.
type Addresses struct {
	Countries       []string // ISO 3166-1 alpha-2 codes of the numbers allowed; empty: US and CA
	AllCountries    bool     // allows every country; premium and other special numbers stay refused
	DefaultRegion   string   // ISO 3166-1 alpha-2 code by which a number without + is read; empty: it needs the +
	UTF8Local       bool     // allows non-ASCII local parts; the mail server must offer SMTPUTF8 (RFC 6531)
	Blocked         []string // addresses that are refused
	BlockedPrefixes []string // + and the leading digits of numbers that are refused
}

// NewAddressPolicy makes the policy, or reports everything that is wrong with it. A canonical address is the same for
// every spelling that is accepted:
//
//   - A mailbox is one addr-spec (RFC 5321 §4.1.2) of at most 254 octets with an unquoted local part. The domain becomes
//     lower-case A-labels (RFC 5891); apart from the case of ASCII letters nothing in it is mapped, so a look-alike is
//     another domain or refused, and never taken for the domain it looks like. The local part is not changed.
//   - A number becomes E.164. It must be plain: + and digits, or digits only where there is a default region. Digits that
//     are one number of that region when its calling code is added, and another when only the + is, are refused.
//
// Without a channel the address is only made canonical, not refused; an @ then tells a mailbox from a number.
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
	blocked      map[string]bool // by blockKey
}

// resolve is the watchword.AddressPolicy.
func (p *addressPolicy) resolve(channel, address string) (watchword.Address, error) {
	a, err := p.parse(channel, address)
	if err != nil || channel == "" {
		return a.Address, err
	}
	return a.Address, p.checkDestination(a)
}

// A parsedAddress is an address with what a decision about it needs.
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

// checkDestination says why messages must not go to a valid address; nil if they may.
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

// blockKey is how blocked addresses are compared: the case of ASCII letters in a local part must not let one through.
func blockKey(canonical string) string { return lowerASCII(canonical) }

func destinationRefused(reason string) error {
	return &watchword.Error{Code: watchword.ErrDestinationRefused.Code, Reason: reason}
}

// invalidRecipient says what is wrong with the recipient, never who it is.
func invalidRecipient(reason string) error {
	return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{{Field: "to", Reason: reason}}}
}
