package main

import (
	"fmt"
	"io"
	"strings"
)

// helloLines prove a code when they are pasted into a shell: the first starts a challenge, the second reads the code
// from the inbox, as the person would, and checks it. They need a shell, curl and nothing else.
const helloLines = `curl -sS URL/v1/challenges -H 'Authorization: Bearer dev' -H 'Content-Type: application/json' -d '{"strategy":"otp","purpose":"sign_in","channel":"email","to":"you@example.com"}'; echo
M=$(curl -sS 'URL/inbox/messages?to=you@example.com'); curl -sS URL/v1/challenges/$(echo "$M" | grep -o '"challenge_id":"[^"]*' | head -n 1 | cut -c 17-)/check -H 'Authorization: Bearer dev' -H 'Content-Type: application/json' -d '{"purpose":"sign_in","to":"you@example.com","answer":"'$(echo "$M" | grep -o '"code":"[0-9]*' | head -n 1 | cut -c 9-)'"}'; echo
`

// hints says what there is in development mode.
func hints(w io.Writer, publicURL string) {
	fmt.Fprintf(w, "watchword in development mode: %s, API key dev (dev-admin changes factors without a proof), inbox at %s/inbox\n\nProve a code; paste these two lines:\n\n%s\n",
		publicURL, publicURL, strings.ReplaceAll(helloLines, "URL", publicURL))
}
