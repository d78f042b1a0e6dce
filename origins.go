package watchword

import (
	"errors"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/internal/setting"
)

// returnOrigins checks the app's list: each entry is an origin and nothing more.
func returnOrigins(list []string) (map[string]bool, error) {
	out := map[string]bool{}
	var problems []error
	for i, text := range list {
		if err := hosts.CheckOrigin(text); err != nil {
			problems = append(problems, setting.Errorf("ReturnOrigins["+strconv.Itoa(i)+"]", "%w", err))
		}
		out[text] = true
	}
	return out, errors.Join(problems...)
}

// checkIssuer wants a URL that links and receipts can be made of: an origin and perhaps a path, without a slash at the end.
func checkIssuer(text string) error {
	_, err := hosts.OriginOf(text)
	if err == nil && (strings.ContainsAny(text, "?#") || strings.HasSuffix(text, "/")) {
		err = hosts.CheckOrigin(text)
	}
	return err
}

// isSMSOrigin reports whether a code in an SMS can be bound to a host.
func isSMSOrigin(host string) bool {
	return hosts.CheckHost(host) == nil && !strings.Contains(host, ":")
}
