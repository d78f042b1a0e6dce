package main

import (
	"strconv"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"
)

// totpInScript implements totp NAME SECRET now|next: it sets $NAME to an authenticator app's present or next code. Both are still
// accepted one step later, so a slow machine does not matter.
func totpInScript(ts *testscript.TestScript, _ bool, args []string) {
	at := time.Now()
	if args[2] == "next" {
		at = at.Add(30 * time.Second)
	}
	code, err := totp.GenerateCode(args[1], at)
	ts.Check(err)
	ts.Setenv(args[0], code)
}

// hotpInScript implements hotp NAME SECRET COUNTER: it sets $NAME to a hardware token's code.
func hotpInScript(ts *testscript.TestScript, _ bool, args []string) {
	counter, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	code, err := hotp.GenerateCode(args[1], counter)
	ts.Check(err)
	ts.Setenv(args[0], code)
}
