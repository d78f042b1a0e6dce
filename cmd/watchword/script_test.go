package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The files in testdata/script are the program's manual and its test. In them watchword is this program, http is curl
// without the noise, and the commands of harness_test.go start and end what runs beside.

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"watchword": main, "http": httpMain})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serveInScript, "end": endInScript, "redis": redisInScript, "replica": replicaInScript, "keep": keepInScript, "operate": operateInScript, "await": awaitInScript, "sink": sinkInScript, "totp": totpInScript, "hotp": hotpInScript},
		Setup: func(env *testscript.Env) error {
			env.Values[scriptStateKey{}] = &scriptState{servers: map[string]*scriptServer{}}
			return nil
		},
	})
}
