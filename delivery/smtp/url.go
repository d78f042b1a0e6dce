package smtp

import (
	"errors"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// settings are the parsed parts of a sender's URL.
type settings struct {
	host        string
	port        int
	implicitTLS bool // TLS from the first byte
	startTLS    bool // STARTTLS is required; otherwise it is used if the server offers it
	user        string
	password    watchword.Code
	from        netmail.Address

	allowClearPassword bool // the password may be sent without TLS
}

// Default ports of message submission, RFC 8314 §3.3.
const (
	portSTARTTLS = 587
	portTLS      = 465
)

// parseURL parses a sender's URL. The error lists every problem. It contains no part of the URL, because a misplaced value may be
// the password.
func parseURL(u *url.URL, canonical watchword.AddressPolicy) (settings, error) {
	s := settings{host: u.Hostname(), implicitTLS: u.Scheme == "smtps", user: u.User.Username()}
	password, _ := u.User.Password()
	s.password = watchword.NewCode(password)
	var problems []error
	refuseIf := func(bad bool, reason string) {
		if bad {
			problems = append(problems, errors.New(reason))
		}
	}
	refuseIf(u.Scheme != "smtp" && u.Scheme != "smtps", "the scheme is neither smtp nor smtps")
	if err := hosts.CheckTargetURL(u); err != nil {
		problems = append(problems, err)
	}
	refuseIf((s.user == "") != (password == ""), "a user needs a password, and a password needs a user")
	refuseIf(strings.Trim(u.Path, "/") != "" || u.Fragment != "", "the URL has a path or a fragment (is a / or # of the password not escaped?)")
	s.port = portSTARTTLS
	if s.implicitTLS {
		s.port = portTLS
	}
	if u.Port() != "" {
		s.port, _ = strconv.Atoi(u.Port())
	}
	problems = append(problems, s.parseQuery(u.RawQuery, canonical)...)
	return s, errors.Join(problems...)
}

func (s *settings) parseQuery(raw string, canonical watchword.AddressPolicy) (problems []error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		problems = append(problems, errors.New("the parameters cannot be read (is a % not escaped as %25?)"))
	}
	for name, values := range query {
		if name != "from" && name != "starttls" && name != "password_without_tls" || len(values) != 1 {
			problems = append(problems, errors.New("a parameter is unknown or repeated: the parameters are from, starttls and password_without_tls"))
			break
		}
	}
	from, err := netmail.ParseAddress(query.Get("from"))
	if err == nil {
		s.from = netmail.Address{Name: toOneLine(from.Name), Address: from.Address}
		_, err = canonical(delivery.ChannelEmail, from.Address)
	}
	if err != nil || !isASCII(s.from.Address) {
		problems = append(problems, errors.New("the parameter from is not an address like noreply@acme.example or ACME <noreply@acme.example>"))
	}
	return append(problems, s.chooseTLS(query.Get("starttls"), query.Get("password_without_tls"))...)
}

// chooseTLS requires STARTTLS unless the server is on this machine and either there is no password or the URL allows to send it
// in clear.
func (s *settings) chooseTLS(starttls, clearPassword string) (problems []error) {
	s.allowClearPassword = clearPassword != ""
	local := outbound.IsLoopback(s.host)
	s.startTLS = !s.implicitTLS && (starttls == "required" || !local || s.user != "" && !s.allowClearPassword)
	switch {
	case starttls != "" && starttls != "required":
		problems = append(problems, errors.New("the parameter starttls can only be required: STARTTLS is optional for loopback without a password, and required otherwise"))
	case starttls != "" && s.implicitTLS:
		problems = append(problems, errors.New("the parameter starttls cannot be used with smtps"))
	}
	switch {
	case clearPassword != "" && clearPassword != "allowed":
		problems = append(problems, errors.New("the parameter password_without_tls can only be allowed"))
	case clearPassword != "" && (s.implicitTLS || starttls != "" || s.user == "" || !local):
		problems = append(problems, errors.New("the parameter password_without_tls is for smtp to loopback, with a password and without starttls"))
	}
	return problems
}
