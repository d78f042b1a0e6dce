package delivery

import (
	"regexp"
	"strconv"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// A numberPlan is what the metadata of the library phonenumbers says about the numbers of one calling code. The library compares a
// number with some ten patterns, which it finds by their texts, and with each of them twice. For a number in E.164 a numberPlan
// gives the same answer at a fraction of the cost: it compares the length first, and keeps the compiled patterns.
type numberPlan struct {
	regions []*numberRegion // in the order in which the library tries them
	trunk   *numberPattern  // beginnings that the library may remove from a national number; nil: none
}

// A numberRegion is a country of a numberPlan.
type numberRegion struct {
	name      string         // ISO 3166-1 alpha-2
	leading   *numberPattern // of all its numbers; nil: the plan's other regions may have the same
	all       numberRule     // what every number satisfies
	special   []numberRule   // of neither fixed nor mobile lines, the first that matches counts
	fixed     numberRule
	mobile    numberRule
	fixedOnly bool // fixed and mobile numbers have the same pattern, that of fixed
}

// A numberRule is the form of the national numbers of one type.
type numberRule struct {
	lineType phonenumbers.PhoneNumberType
	lengths  uint32 // bit n is set if numbers may have n digits; 0: any length
	pattern  *numberPattern
}

// A numberPattern is a regular expression that is compiled when it is first used.
type numberPattern struct {
	text string
	once sync.Once
	re   *regexp.Regexp
}

func (p *numberPattern) matches(national string) bool {
	p.once.Do(func() { p.re = regexp.MustCompile(p.text) })
	return p.re.MatchString(national)
}

func (r *numberRule) matches(national string) bool {
	return r.pattern != nil && (r.lengths == 0 || r.lengths&(1<<len(national)) != 0) && r.pattern.matches(national)
}

// numberPlans returns the plan of each calling code that belongs to countries.
var numberPlans = sync.OnceValue(func() map[int]*numberPlan {
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil // findPlan finds nothing, so the library decides alone
	}
	regions := map[string]*phonenumbers.PhoneMetadata{}
	for _, m := range collection.GetMetadata() {
		regions[m.GetId()] = m
	}
	plans := map[int]*numberPlan{}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		if plan := newNumberPlan(code, regions); plan != nil {
			plans[code] = plan
		}
	}
	return plans
})

// newNumberPlan returns nil for a calling code that belongs to no country.
func newNumberPlan(code int, regions map[string]*phonenumbers.PhoneMetadata) *numberPlan {
	plan := &numberPlan{}
	for _, name := range phonenumbers.GetRegionCodesForCountryCode(code) {
		m := regions[name]
		if m == nil || nonGeographicCodes[code] {
			return nil
		}
		plan.regions = append(plan.regions, newNumberRegion(name, m))
	}
	if len(plan.regions) == 0 {
		return nil
	}
	plan.trunk = newBeginning(regions[plan.regions[0].name].GetNationalPrefixForParsing())
	return plan
}

func newNumberRegion(name string, m *phonenumbers.PhoneMetadata) *numberRegion {
	r := &numberRegion{name: name, leading: newBeginning(m.GetLeadingDigits()), all: newNumberRule(phonenumbers.UNKNOWN, m.GetGeneralDesc()),
		fixed: newNumberRule(phonenumbers.FIXED_LINE, m.GetFixedLine()), mobile: newNumberRule(phonenumbers.MOBILE, m.GetMobile()),
		fixedOnly: m.GetSameMobileAndFixedLinePattern()}
	for _, rule := range []numberRule{
		newNumberRule(phonenumbers.PREMIUM_RATE, m.GetPremiumRate()), newNumberRule(phonenumbers.TOLL_FREE, m.GetTollFree()),
		newNumberRule(phonenumbers.SHARED_COST, m.GetSharedCost()), newNumberRule(phonenumbers.VOIP, m.GetVoip()),
		newNumberRule(phonenumbers.PERSONAL_NUMBER, m.GetPersonalNumber()), newNumberRule(phonenumbers.PAGER, m.GetPager()),
		newNumberRule(phonenumbers.UAN, m.GetUan()), newNumberRule(phonenumbers.VOICEMAIL, m.GetVoicemail()),
	} {
		if rule.pattern != nil {
			r.special = append(r.special, rule)
		}
	}
	return r
}

// newNumberRule returns a rule without a pattern, which matches nothing, if there are no numbers of the type.
func newNumberRule(lineType phonenumbers.PhoneNumberType, d *phonenumbers.PhoneNumberDesc) numberRule {
	rule := numberRule{lineType: lineType}
	for _, n := range d.GetPossibleLength() {
		if n < 0 { // the library's mark for no numbers
			return rule
		}
		rule.lengths |= 1 << n
	}
	if text := d.GetNationalNumberPattern(); text != "" {
		rule.pattern = &numberPattern{text: "^(?:" + text + ")$"}
	}
	return rule
}

// newBeginning returns the pattern of a number's beginning; nil if there is none.
func newBeginning(text string) *numberPattern {
	if text == "" {
		return nil
	}
	return &numberPattern{text: "^(?:" + text + ")"}
}

// lineType returns phonenumbers.UNKNOWN for a number that is not assigned.
func (r *numberRegion) lineType(national string) phonenumbers.PhoneNumberType {
	if !r.all.matches(national) {
		return phonenumbers.UNKNOWN
	}
	for i := range r.special {
		if r.special[i].matches(national) {
			return r.special[i].lineType
		}
	}
	switch {
	case r.fixed.matches(national):
		if r.fixedOnly || r.mobile.matches(national) {
			return phonenumbers.FIXED_LINE_OR_MOBILE
		}
		return phonenumbers.FIXED_LINE
	case !r.fixedOnly && r.mobile.matches(national):
		return phonenumbers.MOBILE
	}
	return phonenumbers.UNKNOWN
}

// find returns the country of a national number and its type, which is phonenumbers.UNKNOWN if it is not assigned.
func (p *numberPlan) find(national string) (country string, lineType phonenumbers.PhoneNumberType) {
	for _, r := range p.regions {
		switch {
		case len(p.regions) == 1, r.leading != nil && r.leading.matches(national):
			return r.name, r.lineType(national)
		case r.leading != nil:
			continue
		}
		if t := r.lineType(national); t != phonenumbers.UNKNOWN {
			return r.name, t
		}
	}
	return "", phonenumbers.UNKNOWN
}

// findPlan returns the plan of an international number without its +, and the number's calling code. It returns nil if the library
// must decide: the code belongs to no country, or the library may find a trunk prefix inside the number.
func findPlan(digits string) (plan *numberPlan, code string) {
	for n := 1; n <= 3; n++ { // no code begins with another one
		number, _ := strconv.Atoi(digits[:n])
		if plan := numberPlans()[number]; plan != nil && digits[0] != '0' {
			if plan.trunk != nil && plan.trunk.matches(digits[n:]) {
				return nil, ""
			}
			return plan, digits[:n]
		}
	}
	return nil, ""
}

// parse returns an international number of the plan.
func (p *numberPlan) parse(text, code string) (parsedAddress, error) {
	country, lineType := p.find(text[1+len(code):])
	if lineType == phonenumbers.UNKNOWN {
		return parsedAddress{}, invalidRecipient(unassigned)
	}
	a := parsedAddress{Address: newPhoneAddress(text, code), lineType: lineType}
	a.callingCode, _ = strconv.Atoi(code)
	a.Country = country
	return a, nil
}
