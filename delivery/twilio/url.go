package twilio

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// settings are what a sender's URL says.
type settings struct {
	sid              string
	token            watchword.Code
	from             string // a number, a short code or a sender id
	messagingService string
	statusCallback   string
	base             *url.URL // instead of Twilio's; nil: Twilio's
}

var (
	sidPattern  = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)         // it becomes a part of the path
	fromPattern = regexp.MustCompile(`^\+?[A-Za-z0-9 ._&-]{1,30}$`) // a number, a short code or a sender id
)

// parse reads a sender's URL and reports everything that is wrong with it, but never a part of it: what stands in the
// wrong place may be the token.
func parse(u *url.URL, development bool) (settings, error) {
	s, problems := parseQuery(u.RawQuery, development)
	s.sid = u.User.Username()
	token, _ := u.User.Password()
	s.token = watchword.NewCode(token)
	if !sidPattern.MatchString(s.sid) || token == "" {
		problems = append(problems, errors.New("the account's sid and token are missing: twilio://ACsid:token@/?from=..."))
	}
	if u.Host != "" || strings.Trim(u.Path, "/") != "" || u.Opaque != "" || u.Fragment != "" {
		problems = append(problems, errors.New("between the @ and the ? of the URL there is nothing but a /, and there is no #"))
	}
	return s, errors.Join(problems...)
}

func parseQuery(raw string, development bool) (s settings, problems []error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		problems = append(problems, errors.New("the parameters cannot be read (is a % not escaped as %25?)"))
	}
	var base string
	known := map[string]*string{"from": &s.from, "messaging_service": &s.messagingService, "status_callback": &s.statusCallback, "base_url": &base}
	for name, values := range query {
		field, ok := known[name]
		if !ok || len(values) != 1 || values[0] == "" {
			problems = append(problems, errors.New("a parameter is unknown, empty or there twice: there are from, messaging_service, status_callback and base_url"))
			continue
		}
		*field = values[0]
	}
	// In a query a + that nobody escaped has become a space; no number or sender id begins with one.
	if rest, ok := strings.CutPrefix(strings.TrimPrefix(s.from, "whatsapp:"), " "); ok {
		s.from = "+" + rest
	}
	s.from = strings.TrimPrefix(s.from, "whatsapp:")
	return s, append(problems, s.checkQuery(base, development)...)
}

func (s *settings) checkQuery(base string, development bool) (problems []error) {
	if s.from == "" && s.messagingService == "" {
		problems = append(problems, errors.New("the parameter from or messaging_service is missing"))
	}
	if s.from != "" && !fromPattern.MatchString(s.from) {
		problems = append(problems, errors.New("the parameter from is neither a number like +14155550100 nor a sender id"))
	}
	if s.messagingService != "" && !sidPattern.MatchString(s.messagingService) {
		problems = append(problems, errors.New("the parameter messaging_service is not a sid (MG...)"))
	}
	if s.statusCallback != "" {
		if u, err := url.Parse(s.statusCallback); err != nil || u.Scheme != "https" || hosts.CheckTarget(u) != nil || u.User != nil || u.Fragment != "" {
			problems = append(problems, errors.New("the parameter status_callback is not an https URL without user and fragment"))
		}
	}
	if base != "" {
		u, err := url.Parse(base)
		if err != nil || !development || !outbound.IsLoopback(u.Hostname()) || hosts.CheckTarget(u) != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			return append(problems, errors.New("the parameter base_url is for loopback in development only"))
		}
		s.base = u
	}
	return problems
}
