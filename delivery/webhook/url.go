package webhook

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// settings are the parsed parts of a sender's URL.
type settings struct {
	target   *url.URL // to post to
	secrets  []Secret
	format   format
	reports  bool     // messages contain a URL for delivery reports
	prefixes []string // prefixes of the names of the three signature headers

	userAgent string // of requests
}

var standardPrefixes = []string{"Webhook-"}

// parseURL parses a sender's URL. The error lists every problem. It contains no part of the URL, because a misplaced value may be
// a secret.
func parseURL(u *url.URL, development bool) (settings, error) {
	s, problems := parseQuery(u.RawQuery)
	scheme := strings.TrimPrefix(u.Scheme, "webhook+")
	switch {
	case scheme == "http" && !(development && outbound.IsLoopback(u.Hostname())):
		problems = append(problems, fmt.Errorf("plain http is for loopback in development only: use %ss", u.Scheme))
	case scheme != "http" && scheme != "https":
		problems = append(problems, errors.New("the scheme is neither webhook+https nor webhook+http"))
	}
	err := hosts.CheckTargetURL(u)
	if err != nil {
		problems = append(problems, err)
	}
	if u.User != nil {
		problems = append(problems, errors.New("the URL has a user or password, which are not used: requests are signed with the secret"))
	}
	if u.Fragment != "" {
		problems = append(problems, errors.New("the URL has a fragment (is a # not escaped as %23?)"))
	}
	if s.target, err = url.Parse((&url.URL{Scheme: scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()); err != nil {
		problems = append(problems, errors.New("the URL cannot be parsed"))
	}
	return s, errors.Join(problems...)
}

func parseQuery(raw string) (s settings, problems []error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		problems = append(problems, errors.New("the parameters cannot be read (is a % not escaped as %25?)"))
	}
	for name := range query {
		if name != "secret" && name != "format" {
			problems = append(problems, errors.New("there is an unknown parameter: the parameters are secret and format"))
			break
		}
	}
	if s.secrets, err = parseSecrets(query["secret"]); err != nil {
		problems = append(problems, err)
	}
	if s.format, s.prefixes, err = chooseFormat(query["format"]); err != nil {
		problems = append(problems, err)
	}
	s.reports = len(query["format"]) == 0
	return s, problems
}

func parseSecrets(texts []string) ([]Secret, error) {
	if len(texts) == 0 {
		return nil, errors.New("the parameter secret is missing: " + secretPrefix + "... of 24 bytes or more")
	}
	secrets := make([]Secret, len(texts))
	var problems []error
	for i, text := range texts {
		// An unescaped + of a query is decoded as a space; base64 contains no spaces.
		secret, err := ParseSecret(strings.ReplaceAll(text, " ", "+"))
		if err != nil {
			problems = append(problems, fmt.Errorf("secret %d: %w", i+1, err))
		}
		secrets[i] = secret
	}
	return secrets, errors.Join(problems...)
}

func chooseFormat(names []string) (format, []string, error) {
	switch {
	case len(names) == 0:
		return standardFormat, standardPrefixes, nil
	case len(names) > 1:
		return nil, nil, errors.New("the parameter format is repeated")
	case names[0] == "clerk":
		return clerkFormat, []string{"Webhook-", "Svix-"}, nil
	case names[0] == "supabase":
		return supabaseFormat, standardPrefixes, nil
	}
	return nil, nil, errors.New("the parameter format is neither clerk nor supabase")
}
