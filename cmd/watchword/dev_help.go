package main

import (
	"fmt"
	"io"
	"strings"
)

// helloLines start a challenge and check its code when they are pasted into a shell that has the variables CHALLENGE and CODE.
// They need a shell and curl.
const (
	helloStart = `curl -sS URL/v1/challenges -H 'Authorization: Bearer dev' -H 'Content-Type: application/json' \
  -d '{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "you@example.com"}'; echo
`
	helloCheck = `CHALLENGE=ch_...
CODE=123456
curl -sS URL/v1/challenges/$CHALLENGE/check -H 'Authorization: Bearer dev' -H 'Content-Type: application/json' \
  -d '{"purpose": "sign_in", "to": "you@example.com", "answer": "'$CODE'"}'; echo
`
	helloLines = `Verify a code. Start a challenge:

` + helloStart + `
Open URL/inbox and read the code. Put the "id" of the answer into CHALLENGE, and the code into CODE:

` + helloCheck
)

// printDevelopmentHelp prints what development mode offers.
func printDevelopmentHelp(w io.Writer, publicURL string) {
	fmt.Fprintf(w, "watchword in development mode. Open %s/ to try everything in a browser.\n\nAPI key dev (dev-admin changes factors without a proof), messages at %s/inbox\n"+
		"Addresses such as ann+test@example.com and +14155550100 always have the code 424242.\n\n%s\n",
		publicURL, publicURL, strings.ReplaceAll(helloLines, "URL", publicURL))
}
