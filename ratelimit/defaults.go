package ratelimit

import "time"

// Windows of the default rules.
const (
	tenMinutes = 10 * time.Minute
	hour       = time.Hour
	day        = 24 * time.Hour
)

// phoneChannels returns the channels that send to phone numbers, where each message costs money.
func phoneChannels() []string { return []string{"sms", "voice", "whatsapp"} }

// DefaultRules returns the rules for starts that apply if an app configures none. They fit an app with some thousand sign-ins a
// day; replace single rules as needed. Each rule counts trusted devices separately, so that an attacker who exhausts a limit does
// not block them. Up to twice a rule's limit can therefore be started.
//
//   - address_10m: 5 in 10 minutes to one address. A resend brings the same code, so five are enough.
//   - address_day: 20 a day to one phone number, because messages cost money and calls ring. Each start allows one guess even
//     if the failed-attempt limit is exhausted, so 20 also limits the chance of a correct guess to (30 + 20) / 10^6 a day.
//   - address_day_email: 50 a day to one mail address. Mail costs nothing, and people use it more often to sign in.
//   - subject_10m: 15 in 10 minutes for one subject, with all of its addresses and factors.
//   - subject_day: 100 a day for one subject.
//   - ip_10m: 30 in 10 minutes from one client. It allows an office behind one IP address, but not trying many numbers.
//   - ip_day: 200 a day from one client.
//   - visitor_10m: 300 in 10 minutes from one client, for starts that have no subject and send nothing: one for each view of
//     a page that offers passkeys. The rules by IP do not count them.
//   - visitor_day: 3,000 a day of such starts.
//   - prefix_hour: 200 an hour to numbers of one prefix. Attackers who earn by incoming messages rent such blocks of numbers.
//   - country_hour: 2,000 an hour to one country, which limits the cost until somebody reacts.
//   - app_hour: 10,000 an hour for the whole app. Only a fault of the app, such as a loop, reaches it.
func DefaultRules() []Rule {
	return []Rule{
		{Name: "address_10m", Limit: 5, Window: tenMinutes, By: ByAddress},
		{Name: "address_day", Limit: 20, Window: day, By: ByAddress, Channels: phoneChannels()},
		{Name: "address_day_email", Limit: 50, Window: day, By: ByAddress, Channels: []string{"email"}},
		{Name: "subject_10m", Limit: 15, Window: tenMinutes, By: BySubject},
		{Name: "subject_day", Limit: 100, Window: day, By: BySubject},
		{Name: "ip_10m", Limit: 30, Window: tenMinutes, By: ByIP},
		{Name: "ip_day", Limit: 200, Window: day, By: ByIP},
		{Name: "visitor_10m", Limit: 300, Window: tenMinutes, By: ByVisitor},
		{Name: "visitor_day", Limit: 3_000, Window: day, By: ByVisitor},
		{Name: "prefix_hour", Limit: 200, Window: hour, By: ByPrefix, Channels: phoneChannels()},
		{Name: "country_hour", Limit: 2_000, Window: hour, By: ByCountry, Channels: phoneChannels()},
		{Name: "app_hour", Limit: 10_000, Window: hour, By: ByApp},
	}
}

// DefaultCheckRules returns the rules for checks, for a Throttle. They reduce the load of the store. Codes are protected by
// failed-attempt limits, which are not rules.
//
//   - check_ip_minute: a burst of 60 from one client, then one a second.
//   - check_ip_hour: a burst of 600 from one client, then one every six seconds.
//   - check_app_minute: a burst of 60,000 from one app, then a thousand a second, so that one app cannot use up the capacity
//     of others.
func DefaultCheckRules() []Rule {
	return []Rule{
		{Name: "check_ip_minute", Limit: 60, Window: time.Minute, By: ByIP},
		{Name: "check_ip_hour", Limit: 600, Window: hour, By: ByIP},
		{Name: "check_app_minute", Limit: 60_000, Window: time.Minute, By: ByApp},
	}
}
