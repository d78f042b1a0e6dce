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

// settings are the parsed parts of a sender's URL.
type settings struct {
	user             string // for authentication: the sid of the account or of an API key
	token            watchword.Code
	account          string         // sid of the account that sends; a part of request paths
	accountToken     watchword.Code // auth token of the account, which signs reports; zero: reports cannot be verified
	from             string         // a number, a short code or a sender id
	messagingService string
	statusCallback   string
	content          contentTemplate
	region, edge     string
	base             *url.URL // replaces scheme and host of Twilio's API; nil: Twilio's own
}

var (
	sidPattern       = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)
	accountPattern   = regexp.MustCompile(`^AC[A-Za-z0-9]{1,62}$`)
	contentPattern   = regexp.MustCompile(`^HX[A-Za-z0-9]{1,62}$`)
	hostLabelPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`) // of region and edge, which become host labels
	fromPattern      = regexp.MustCompile(`^\+?[A-Za-z0-9 ._&-]{1,30}$`)
)

// apiKeyPrefix is the prefix of the sid of an API key. An API key authenticates requests of an account.
const apiKeyPrefix = "SK"

// parseURL parses the URL of a sender for a channel; an empty channel means any. The error lists every problem. It contains no part
// of the URL, because a misplaced value may be the token.
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
		problems = append(problems, errors.New("only a / is allowed between the @ and the ? of the URL, and no #"))
	}
	return s, errors.Join(problems...)
}

// setAccount sets the sending account and the token of its reports. Twilio signs reports with the account's token, also for messages
// that were posted with an API key.
func (s *settings) setAccount() (problems []error) {
	if s.account != "" && !accountPattern.MatchString(s.account) {
		problems = append(problems, errors.New("the parameter account is not the sid of an account (AC...)"))
	}
	switch {
	case s.account != "" && s.account != s.user: // the account of an API key, or a subaccount
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

// checkChannel returns what the channel needs and the URL lacks.
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

// Why a channel cannot be served. Open reports it if it gets a channel, otherwise Send does.
const (
	errContentMissing     outbound.Failure = "WhatsApp takes templates only (Twilio's error 63016): the parameter content_sid is missing"
	errFromMissing        outbound.Failure = "a call needs the parameter from"
	errChannelUnsupported outbound.Failure = "Twilio supports sms, whatsapp and voice only"
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
			problems = append(problems, errors.New("a parameter is unknown, empty or repeated: the parameters are "+strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
			continue
		}
		*field = values[0]
	}
	s.accountToken = watchword.NewCode(accountToken)
	// An unescaped + of a query is decoded as a space; no number or sender id begins with a space.
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(s.from, "whatsapp:"), " "); ok {
		s.from = "+" + rest
	}
	s.from = strings.TrimPrefix(s.from, "whatsapp:")
	problems = append(problems, s.content.parse(variables)...)
	problems = append(problems, s.checkQuery()...)
	return s, append(problems, s.setBase(base, development)...)
}

func (s *settings) checkQuery() (problems []error) {
	refuseIf := func(bad bool, reason string) {
		if bad {
			problems = append(problems, errors.New(reason))
		}
	}
	refuseIf(s.from == "" && s.messagingService == "", "the parameter from or messaging_service is missing")
	refuseIf(s.from != "" && !fromPattern.MatchString(s.from), "the parameter from is neither a number like +14155550100 nor a sender id")
	refuseIf(s.messagingService != "" && !sidPattern.MatchString(s.messagingService), "the parameter messaging_service is not a sid (MG...)")
	refuseIf(s.region != "" && !hostLabelPattern.MatchString(s.region), "the parameter region is not the name of a region, such as ie1")
	refuseIf(s.edge != "" && !hostLabelPattern.MatchString(s.edge), "the parameter edge is not the name of an edge, such as dublin")
	if s.statusCallback != "" {
		u, err := url.Parse(s.statusCallback)
		refuseIf(err != nil || u.Scheme != "https" || hosts.CheckTargetURL(u) != nil || u.User != nil || u.Fragment != "", "the parameter status_callback is not an https URL without user and fragment")
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
