package twilio

import (
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// settings are what a sender's URL says.
type settings struct {
	user             string // who signs in: the account's sid, or an API key's
	token            watchword.Code
	account          string         // whose messages they are; it becomes a part of the path
	accountToken     watchword.Code // the account's auth token, by which reports are signed; zero: reports cannot be verified
	from             string         // a number, a short code or a sender id
	messagingService string
	statusCallback   string
	content          contentTemplate
	region, edge     string
	base             *url.URL // instead of Twilio's; nil: Twilio's
}

var (
	sidPattern       = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)
	accountPattern   = regexp.MustCompile(`^AC[A-Za-z0-9]{1,62}$`)
	contentPattern   = regexp.MustCompile(`^HX[A-Za-z0-9]{1,62}$`)
	hostLabelPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`) // a label of a host name
	fromPattern      = regexp.MustCompile(`^\+?[A-Za-z0-9 ._&-]{1,30}$`)          // a number, a short code or a sender id
)

// apiKeyPrefix is how the sid of an API key begins. It is no account: messages of an account are posted with it.
const apiKeyPrefix = "SK"

// parseURL reads a sender's URL and reports everything that is wrong with it, but never a part of it: what stands in the
// wrong place may be the token. The channel is the one that the sender is for; empty: any.
func parseURL(u *url.URL, channel string, development bool) (settings, error) {
	s, problems := parseQuery(u.RawQuery, development)
	s.user = u.User.Username()
	token, _ := u.User.Password()
	s.token = watchword.NewCode(token)
	if !sidPattern.MatchString(s.user) || token == "" {
		problems = append(problems, errors.New("the account's sid and token are missing: twilio://ACsid:token@/?from=..."))
	}
	problems = append(problems, s.setAccount()...)
	problems = append(problems, s.checkChannel(channel)...)
	if u.Host != "" || strings.Trim(u.Path, "/") != "" || u.Opaque != "" || u.Fragment != "" {
		problems = append(problems, errors.New("between the @ and the ? of the URL there is nothing but a /, and there is no #"))
	}
	return s, errors.Join(problems...)
}

// setAccount finds whose messages they are, and which token signs their reports: Twilio signs with that of the account,
// whoever posted the message.
func (s *settings) setAccount() (problems []error) {
	if s.account != "" && !accountPattern.MatchString(s.account) {
		problems = append(problems, errors.New("the parameter account is not the sid of an account (AC...)"))
	}
	switch {
	case s.account != "" && s.account != s.user: // the account of an API key, or one below that of the token
	case strings.HasPrefix(s.user, apiKeyPrefix):
		problems = append(problems, errors.New("an API key (SK...) needs the parameter account, the sid of its account (AC...)"))
	default:
		s.account = s.user
		if s.accountToken.IsZero() {
			s.accountToken = s.token
		}
	}
	return problems
}

// checkChannel reports what a channel needs and the URL has not.
func (s *settings) checkChannel(channel string) (problems []error) {
	switch channel {
	case "", channelSMS:
	case channelWhatsApp:
		if s.content.sid == "" {
			problems = append(problems, errContentMissing)
		}
	case channelVoice:
		if s.from == "" {
			problems = append(problems, errFromMissing)
		}
	default:
		problems = append(problems, errChannelUnsupported)
	}
	return problems
}

// What keeps a channel from being served, at start-up or, for a sender of any channel, when it is used.
const (
	errContentMissing     outbound.Failure = "WhatsApp takes templates only (Twilio's error 63016): the parameter content_sid is missing"
	errFromMissing        outbound.Failure = "a call needs the parameter from"
	errChannelUnsupported outbound.Failure = "Twilio carries sms, whatsapp and voice only"
)

func parseQuery(raw string, development bool) (s settings, problems []error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		problems = append(problems, errors.New("the parameters cannot be read (is a % not escaped as %25?)"))
	}
	var base, accountToken, variables string
	known := map[string]*string{"from": &s.from, "messaging_service": &s.messagingService, "status_callback": &s.statusCallback, "base_url": &base,
		"account": &s.account, "account_token": &accountToken, "content_sid": &s.content.sid, "content_variables": &variables, "region": &s.region, "edge": &s.edge}
	for name, values := range query {
		field, ok := known[name]
		if !ok || len(values) != 1 || values[0] == "" {
			problems = append(problems, errors.New("a parameter is unknown, empty or there twice: there are "+strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
			continue
		}
		*field = values[0]
	}
	s.accountToken = watchword.NewCode(accountToken)
	// In a query a + that nobody escaped has become a space; no number or sender id begins with one.
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(s.from, "whatsapp:"), " "); ok {
		s.from = "+" + rest
	}
	s.from = strings.TrimPrefix(s.from, "whatsapp:")
	problems = append(problems, s.content.parse(variables)...)
	problems = append(problems, s.checkQuery()...)
	return s, append(problems, s.setBase(base, development)...)
}

func (s *settings) checkQuery() (problems []error) {
	refuse := func(bad bool, reason string) {
		if bad {
			problems = append(problems, errors.New(reason))
		}
	}
	refuse(s.from == "" && s.messagingService == "", "the parameter from or messaging_service is missing")
	refuse(s.from != "" && !fromPattern.MatchString(s.from), "the parameter from is neither a number like +14155550100 nor a sender id")
	refuse(s.messagingService != "" && !sidPattern.MatchString(s.messagingService), "the parameter messaging_service is not a sid (MG...)")
	refuse(s.region != "" && !hostLabelPattern.MatchString(s.region), "the parameter region is not the name of a region, such as ie1")
	refuse(s.edge != "" && !hostLabelPattern.MatchString(s.edge), "the parameter edge is not the name of an edge, such as dublin")
	if s.statusCallback != "" {
		u, err := url.Parse(s.statusCallback)
		refuse(err != nil || u.Scheme != "https" || hosts.CheckTargetURL(u) != nil || u.User != nil || u.Fragment != "", "the parameter status_callback is not an https URL without user and fragment")
	}
	return problems
}

func (s *settings) setBase(base string, development bool) []error {
	if base == "" {
		return nil
	}
	u, err := url.Parse(base)
	if err != nil || !development || !outbound.IsLoopback(u.Hostname()) || hosts.CheckTargetURL(u) != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return []error{errors.New("the parameter base_url is for loopback in development only")}
	}
	s.base = u
	return nil
}
