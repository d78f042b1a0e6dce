package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/watchword-auth/watchword/internal/pgtest"
)

// The files in testdata/script are the program's tests and can be read as its manual. In them watchword is this program, and
// script_commands_test.go and script_http_test.go have the other commands.

// TestMain lets more tests run at the same time than there are processors, because most of them wait for a server.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"watchword": mainWithoutTestVariables, "assault": assaultMain})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	sink := startSink(t)
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serveInScript, "end": endInScript, "redis": redisInScript, "replica": replicaInScript, "keep": keepInScript, "rediscli": redisCLIInScript, "awaitready": awaitReadyInScript, "awaitlog": awaitLogInScript, "receiver": receiverInScript, "totp": totpInScript, "hotp": hotpInScript,
			"http": httpInScript, "awaitinbox": awaitInboxInScript},
		Setup: func(env *testscript.Env) error {
			env.Values[scriptStateKey{}] = &scriptState{servers: map[string]*scriptServer{}}
			env.Setenv("EXAMPLES", examples)
			return sink.configure(env)
		},
	})
}

// testVariables are read by tests. They are no settings of the program.
var testVariables = []string{"WATCHWORD_SOAK", "WATCHWORD_TIMING", "WATCHWORD_GENERATORS", "WATCHWORD_SHOTS", pgtest.Environment}

func mainWithoutTestVariables() {
	for _, name := range testVariables {
		_ = os.Unsetenv(name)
	}
	main()
}
