package main

import "testing"

func TestUnknownVariablesAreProblems(t *testing.T) {
	for variable, want := range map[string]string{
		"WATCHWORD_LISTN=:1":                              "WATCHWORD_LISTN: there is no such variable; did you mean WATCHWORD_LISTEN?",
		"WATCHWORD_REDIS=redis://secret":                  "WATCHWORD_REDIS: there is no such variable; did you mean WATCHWORD_REDIS_URL?",
		"WATCHWORD_LOG_LEVEL_FILE=/x":                     "WATCHWORD_LOG_LEVEL_FILE: there is no such variable; did you mean WATCHWORD_LOG_LEVEL?",
		"WATCHWORD_X=1":                                   "WATCHWORD_X: there is no such variable",
		"WATCHWORD_LISTN=":                                "",
		"WATCHWORD_SEND_FILE=/x":                          "",
		"WATCHWORD_CONFIG=/x":                             "",
		"WATCHWORDS=1":                                    "",
		"WATCHWORD_SERVICE_HOST=10.0.0.1":                 "",
		"WATCHWORD_SERVICE_PORT_HTTP=80":                  "",
		"WATCHWORD_PORT=tcp://10.0.0.1:80":                "",
		"WATCHWORD_PORT_8080_TCP_ADDR=10.0.0.1":           "",
		"WATCHWORD_REDIS_MASTER_PORT_6379_TCP=tcp://x:63": "",
	} {
		problems := findUnknownVariables([]string{"PATH=/bin", variable})
		if (len(problems) > 0) != (want != "") || len(problems) > 0 && problems[0].Error() != want {
			t.Errorf("%s: %v, want %q", variable, problems, want)
		}
	}
}
