package delivery_test

import (
	"testing"

	"github.com/watchword-auth/watchword/delivery"
)

func TestAddressPolicyGivesSpellingsOfAMailboxOneKey(t *testing.T) {
	policy, err := delivery.NewAddressPolicy(delivery.Addresses{})
	if err != nil {
		t.Fatal(err)
	}
	for _, spelling := range []string{"alice@example.com", "Alice@example.com", "ALICE@EXAMPLE.COM"} {
		a, err := policy("email", spelling)
		if err != nil || a.Key != "alice@example.com" || a.Value[:5] != spelling[:5] {
			t.Errorf("%s: %+v %v", spelling, a, err)
		}
	}
	a, _ := policy("email", "alice+1@example.com")
	if a.Key == "alice@example.com" {
		t.Error("another mailbox has the same key")
	}
}
