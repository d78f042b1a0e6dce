package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// A sender keeps its id when the list is reordered and when its password or its parameters change, and shows nothing of its URL.
func TestSenderIDsDependOnAddressAndUserOnly(t *testing.T) {
	t.Parallel()
	idsOf := func(urls ...string) []string {
		var list []senderSettings
		for _, u := range urls {
			list = append(list, senderSettings{url: watchword.NewCode(u)})
		}
		return senderIDs(list)
	}
	const (
		twilio = "twilio://AC1:token@/?from=%2B14155550100"
		one    = "webhook+https://sms.example/one?secret=whsec_a"
		two    = "webhook+https://sms.example/two?secret=whsec_a"
	)
	ids := idsOf(twilio, one, two)
	if reversed := idsOf(two, one, twilio); !slices.Equal(reversed, []string{ids[2], ids[1], ids[0]}) {
		t.Errorf("%v, in another order %v", ids, reversed)
	}
	if changed := idsOf("twilio://AC1:next@/?messaging_service=MG1", one+"%20whsec_b"); !slices.Equal(changed, ids[:2]) {
		t.Errorf("%v, with other secrets and parameters %v", ids, changed)
	}
	if other := idsOf("twilio://AC2:token@/?from=%2B14155550100", "webhook+https://mail.example/one?secret=whsec_a"); other[0] == ids[0] || other[1] == ids[1] {
		t.Errorf("another account and another host have the ids %v", other)
	}
	const backup = "twilio://AC1:token@/?from=%2B14155550199"
	same := idsOf(twilio, backup, twilio)
	if swapped := idsOf(backup, twilio, twilio); same[0] == same[1] || same[0] == same[2] || !slices.Equal(swapped[:2], []string{same[1], same[0]}) {
		t.Errorf("senders of one account have the ids %v, in another order %v", same, swapped)
	}
	if text := strings.Join(append(ids, same...), " "); strings.Contains(text, "AC1") || strings.Contains(text, "one") || !strings.HasPrefix(text, "twilio-") {
		t.Errorf("the ids %s", text)
	}
}
