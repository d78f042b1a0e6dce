package twilio

import (
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestJudgeMapsErrorCodesToFaults(t *testing.T) {
	for _, tt := range []struct {
		status, code int
		fault        watchword.SendFault
		permanent    bool
	}{
		{400, 21211, watchword.FaultRecipient, true},
		{400, 21610, watchword.FaultRecipient, true},
		{400, 21614, watchword.FaultRecipient, true},
		{400, 21408, watchword.FaultRecipient, true},
		{400, 30003, watchword.FaultRecipient, false},
		{400, 30004, watchword.FaultRecipient, true},
		{400, 30005, watchword.FaultRecipient, true},
		{400, 30006, watchword.FaultRecipient, true},
		{400, 30007, watchword.FaultMessage, true},
		{400, 30008, watchword.FaultProvider, false},
		{400, 63016, watchword.FaultMessage, true},
		{400, 63018, watchword.FaultProvider, false},
		{401, 20003, watchword.FaultProvider, false},
		{400, 21606, watchword.FaultProvider, true},
		{429, 20429, watchword.FaultProvider, false},
		{503, 0, watchword.FaultProvider, false},
		{403, 99999, watchword.FaultProvider, false},
		{302, 0, watchword.FaultProvider, true},
		{400, 99999, watchword.FaultRecipient, true}, // anybody can type a number that Twilio refuses
	} {
		if got := judge(tt.status, tt.code); got != (verdict{tt.fault, tt.permanent}) {
			t.Errorf("%d, error %d: got %+v", tt.status, tt.code, got)
		}
	}
}

func TestErrorCodesHaveOneVerdict(t *testing.T) {
	seen := map[int]bool{}
	for _, list := range codesOf {
		for _, code := range list.codes {
			if seen[code] {
				t.Errorf("error %d has two verdicts", code)
			}
			seen[code] = true
		}
	}
}
