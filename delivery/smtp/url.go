package smtp

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/wneessen/go-mail"

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

	auth      mail.SMTPAuthType // the only mechanism that is used; empty: the best that the server offers
	tokenFile string            // OAuth 2 access token of the user, read for each connection; empty: none
	helo      string            // domain or address literal of EHLO (RFC 5321 §4.1.1.1); empty: the machine's name
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

var parameters = []string{"auth", "from", "helo", "password_without_tls", "starttls", "token_file"}

func (s *settings) parseQuery(raw string, canonical watchword.AddressPolicy) (problems []error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		problems = append(problems, errors.New("the parameters cannot be read (is a % not escaped as %25?)"))
	}
	for name, values := range query {
		if !slices.Contains(parameters, name) || len(values) != 1 || values[0] == "" {
			problems = append(problems, errors.New("a parameter is unknown, empty or repeated: the parameters are "+strings.Join(parameters, ", ")))
			break
		}
	}
	from, err := netmail.ParseAddress(query.Get("from"))
	if err == nil {
		s.from = netmail.Address{Name: toOneLine(from.Name), Address: from.Address}
		_, err = canonical(delivery.ChannelEmail, from.Address)
	}
	switch {
	case query.Get("from") == "":
		problems = append(problems, errors.New("the parameter from is missing: the sender's address, such as noreply@acme.example or ACME <noreply@acme.example>"))
	case err != nil || !isASCII(s.from.Address):
		problems = append(problems, errors.New("the parameter from is not an address like noreply@acme.example or ACME <noreply@acme.example>"))
	}
	problems = append(problems, s.chooseAuth(query.Get("auth"), query.Get("token_file"))...)
	problems = append(problems, s.setHELO(query.Get("helo"))...)
	return append(problems, s.chooseTLS(query.Get("starttls"), query.Get("password_without_tls"))...)
}

// chooseAuth sets how the user authenticates.
func (s *settings) chooseAuth(auth, tokenFile string) (problems []error) {
	known := map[string]mail.SMTPAuthType{"": "", "plain": mail.SMTPAuthPlain, "login": mail.SMTPAuthLogin, "xoauth2": mail.SMTPAuthXOAUTH2}
	var ok bool
	if s.auth, ok = known[auth]; !ok {
		problems = append(problems, errors.New("the parameter auth is neither plain nor login nor xoauth2"))
	}
	s.tokenFile = tokenFile
	byToken := auth == "xoauth2"
	switch {
	case byToken && (s.user == "" || !s.password.IsZero() || tokenFile == ""):
		return append(problems, errors.New("auth=xoauth2 needs a user without a password, and the parameter token_file"))
	case byToken:
		return append(problems, checkTokenFile(tokenFile)...)
	case tokenFile != "":
		problems = append(problems, errors.New("the parameter token_file is for auth=xoauth2"))
	}
	if (s.user == "") != s.password.IsZero() {
		problems = append(problems, errors.New("a user needs a password, and a password needs a user"))
	} else if auth != "" && s.user == "" {
		problems = append(problems, errors.New("the parameter auth needs a user and a password"))
	}
	return problems
}

func checkTokenFile(path string) []error {
	if !filepath.IsAbs(path) {
		return []error{errors.New("the parameter token_file is not an absolute path")}
	}
	if _, err := readToken(path); err != nil {
		return []error{fmt.Errorf("the parameter token_file: %w", err)}
	}
	return nil
}

// readToken reads an access token.
func readToken(path string) (watchword.Code, error) {
	raw, err := os.ReadFile(path)
	token := strings.TrimSpace(string(raw))
	switch {
	case err != nil:
		return watchword.Code{}, errTokenFile
	case token == "" || strings.ContainsFunc(token, unicode.IsSpace):
		return watchword.Code{}, errToken
	}
	return watchword.NewCode(token), nil
}

// setHELO sets the name that the server is greeted with.
func (s *settings) setHELO(name string) []error {
	if name == "" {
		return nil
	}
	ip, isLiteral := strings.CutPrefix(strings.TrimSuffix(name, "]"), "[")
	_, err := netip.ParseAddr(strings.TrimPrefix(ip, "IPv6:"))
	if s.helo = name; isLiteral && err == nil || !isLiteral && hosts.CheckHost(name) == nil && strings.Contains(name, ".") {
		return nil
	}
	return []error{errors.New("the parameter helo is neither a host name with a dot, such as verify.acme.example, nor an address such as [192.0.2.1]")}
}

// greeting returns the name for EHLO: that of the URL, or the host of the public URL. An address is written as a literal (RFC 5321
// §4.1.3).
func (s *settings) greeting(publicHost string) string {
	ip, err := netip.ParseAddr(publicHost)
	switch {
	case s.helo != "":
		return s.helo
	case err != nil:
		return publicHost
	case ip.Is4():
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
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
	case clearPassword != "" && (s.implicitTLS || starttls != "" || s.password.IsZero() || !local):
		problems = append(problems, errors.New("the parameter password_without_tls is for smtp to loopback, with a password and without starttls"))
	}
	return problems
}
