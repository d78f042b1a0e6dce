package ratelimit

import "time"

// Windows of the default rules.
const (
	tenMinutes = 10 * time.Minute
	hour       = time.Hour
	day        = 24 * time.Hour
)

// phoneChannels lists the channels that reach a number, each message at a price.
func phoneChannels() []string { return []string{"sms", "voice", "whatsapp"} }

// DefaultRules returns the rules for starts that hold where an app has none of its own. They fit an app with some thousand
// sign-ins a day and are meant to be replaced one by one. Devices that the app knows are counted apart, each rule twice: so
// strangers who fill a limit do not shut them out, and the most that can be started is twice a rule's limit.
//
//   - address_10m: 5 in 10 minutes to one address. Somebody who asks for a code again gets the first one again, so five
//     are plenty; more would only fill a mailbox.
//   - address_day: 20 a day to one number, because they cost money and ring. Each start lets a stranger guess once even
//     when the guess budget is spent, so 20 also keeps the chance of a guess at (30 + 20) / 10^6 a day.
//   - address_day_email: 50 a day to one mail address. Mail costs nothing, and people sign in more often by it.
//   - subject_10m: 15 in 10 minutes for one subject, over all of its addresses and factors.
//   - subject_day: 100 a day for one subject.
//   - ip_10m: 30 in 10 minutes from one client: an office behind one address still gets in, one visitor with a list of
//     numbers does not get far.
//   - ip_day: 200 a day from one client.
//   - visitor_10m: 300 in 10 minutes from one client of what names nobody and sends nothing, one for each view of a page
//     that offers passkeys. They count here and not by IP.
//   - visitor_day: 3,000 a day of those.
//   - prefix_hour: 200 an hour to numbers of one prefix, since whoever is paid for incoming messages owns such a block.
//   - country_hour: 2,000 an hour to one country, the bill that is at risk there before somebody looks.
//   - app_hour: 10,000 an hour of everything, which an app's own mistake reaches, a loop say, not its people.
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

// DefaultCheckRules returns the rules for checks. They keep noise away from the store; codes are protected by guess budgets,
// which need no rule. They belong into a Throttle, so that a check costs no round trip for them:
//
//   - check_ip_minute: 60 at once from one client and one a second, each of them a person typing.
//   - check_ip_hour: 600 an hour from one client, 600 at once and one each six seconds.
//   - check_app_minute: 60,000 a minute of one app (a thousand a second), so that one app cannot starve the others.
func DefaultCheckRules() []Rule {
	return []Rule{
		{Name: "check_ip_minute", Limit: 60, Window: time.Minute, By: ByIP},
		{Name: "check_ip_hour", Limit: 600, Window: hour, By: ByIP},
		{Name: "check_app_minute", Limit: 60_000, Window: time.Minute, By: ByApp},
	}
}
