package main

import "testing"

func TestSuggestNamesWhatWasMeant(t *testing.T) {
	for text, want := range map[string]string{
		"emial": "email", "e-mail": "email", "E_Mail": "email", "emails": "email", "voise": "voice", "whatapp": "whatsapp", "watsap": "whatsapp",
		"mms": "", "rcs": "", "fax": "", "push": "", "mail": "email", "": "", "telegram": "",
	} {
		if want != "" {
			want = "; did you mean " + want + "?"
		}
		if got := suggest(text, knownChannels()); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
