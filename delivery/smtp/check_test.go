package smtp_test

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/delivery"
)

// Check takes every step of Send but the mail.
func TestCheckSignsInAndSendsNothing(t *testing.T) {
	server := startServer(t, true, withTLS(&trusted))
	if err := delivery.CheckSender(t.Context(), open(t, "smtps://ada:s3cret%2Fw@"+server.address+from)); err != nil {
		t.Error(err)
	}
	if len(server.logins) != 1 || len(server.receivedMails()) != 0 {
		t.Errorf("logins %q, mails %v", server.logins, server.receivedMails())
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	encrypted, other, clear := startServer(t, true, withTLS(&trusted)), startServer(t, true, withTLS(&untrusted)), startServer(t, false)
	for url, want := range map[string]string{
		"smtps://ada:wrong@" + encrypted.address + from:                        "the server replied 454",
		"smtps://ada:s3cret%2Fw@" + other.address + from:                       "TLS certificate not trusted",
		"smtp://ada:s3cret%2Fw@" + clear.address + from + "&starttls=required": "server does not offer STARTTLS",
		"smtp://127.0.0.1:1" + from:                                            "connection refused",
	} {
		if err := delivery.CheckSender(t.Context(), open(t, url)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

// A relay whose host name leads to a network that is not allowed turns readiness red, whenever the name begins to do so.
func TestReadinessNamesRelayOnRefusedNetwork(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := net.LookupHost(name)
	if err != nil || slices.ContainsFunc(addresses, func(a string) bool { ip := net.ParseIP(a); return !ip.IsLoopback() && !ip.IsPrivate() }) {
		t.Skipf("%s resolves to %q, %v: not to a private address", name, addresses, err)
	}
	sender, err := providers.Open(t.Context(), "smtp://"+name+":25"+from, delivery.Environment{})
	if err != nil {
		t.Fatal(err)
	}
	failed := delivery.NewReadiness(map[string][]delivery.Provider{"email": {{Name: "smtp", Sender: sender}}}).Ping(t.Context())
	reason, ok := failed.(interface{ Unwrap() []error })
	if !ok || reason.Unwrap()[0].(interface{ Reason() string }).Reason() != "no sender of email works: smtp: address is not public and not in allowed_networks" {
		t.Errorf("got %v", failed)
	}
}
