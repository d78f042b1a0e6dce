package clienttest_test

import (
	"testing"

	"github.com/watchword-auth/watchword/client/clienttest"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/testaddress"
)

// The addresses are those of the server.
func TestAddressesOfPersonasAreThoseOfTheServer(t *testing.T) {
	t.Parallel()
	if clienttest.Code != testaddress.Code {
		t.Errorf("the code is %s, the server's %s", clienttest.Code, testaddress.Code)
	}
	policy, err := delivery.NewAddressPolicy(delivery.Addresses{})
	if err != nil {
		t.Fatal(err)
	}
	for ours, want := range map[clienttest.Persona]testaddress.Persona{clienttest.Ordinary: testaddress.Ordinary, clienttest.Undeliverable: testaddress.Undeliverable,
		clienttest.Slow: testaddress.Slow, clienttest.Locked: testaddress.Locked, clienttest.Expired: testaddress.Expired} {
		seen := map[string]bool{}
		for range 300 {
			for channel, address := range map[string]string{"email": ours.Email(), "sms": ours.Phone()} {
				canonical, err := policy(channel, address)
				if err != nil {
					t.Fatalf("%s: %v", address, err)
				}
				if persona, ok := testaddress.Find(canonical.Value); !ok || persona != want || string(ours) != string(want) {
					t.Fatalf("%s is %q for the server, want %q", address, persona, want)
				}
				seen[address] = true
			}
		}
		if len(seen) < 350 { // 300 mailboxes, and nearly all of 60 numbers
			t.Errorf("%s: %d different addresses", ours, len(seen))
		}
	}
}
