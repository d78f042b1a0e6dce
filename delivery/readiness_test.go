package delivery_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// A checkedSender returns err from Check.
type checkedSender struct {
	scriptedSender
	err    error
	checks int
}

func (s *checkedSender) Check(context.Context) error { s.checks++; return s.err }

func TestReadinessFailsWhereNoSenderOfAChannelWorks(t *testing.T) {
	working, dead, unknown := &checkedSender{}, &checkedSender{err: outbound.ConnectionRefused}, &scriptedSender{}
	for name, c := range map[string]struct {
		routes map[string][]delivery.Provider
		want   string
	}{
		"all work":         {map[string][]delivery.Provider{"email": {{Name: "a", Sender: working}}}, ""},
		"second works":     {map[string][]delivery.Provider{"email": {{Name: "a", Sender: dead}, {Name: "b", Sender: working}}}, ""},
		"cannot be tested": {map[string][]delivery.Provider{"email": {{Name: "a", Sender: unknown}}}, ""},
		"one channel": {map[string][]delivery.Provider{"email": {{Name: "a", Sender: working}}, "sms": {{Name: "b", Sender: dead}, {Name: "c", Sender: dead}}},
			"no sender of sms works: b: connection refused"},
		"none": {nil, ""},
	} {
		err := delivery.NewReadiness(c.routes).Ping(t.Context())
		var reason interface{ Reason() string }
		if (err == nil) != (c.want == "") || err != nil && (!errors.As(err, &reason) || reason.Reason() != c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Senders are checked rarely, sooner after a failure, and readiness recovers by itself.
func TestReadinessChecksSendersRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &checkedSender{}
		r := delivery.NewReadiness(map[string][]delivery.Provider{"email": {{Name: "a", Sender: s}}})
		askFor := func(d time.Duration) (err error) {
			for range int(d / time.Second) {
				err = r.Ping(t.Context())
				time.Sleep(time.Second)
				synctest.Wait()
			}
			return err
		}
		if err := askFor(time.Minute); err != nil || s.checks > 5 {
			t.Errorf("%v, %d checks in a minute", err, s.checks)
		}
		s.err = errors.New("492039")
		if err := askFor(20 * time.Second); err == nil || !strings.Contains(err.Error(), "no sender of email works") {
			t.Errorf("got %v", err)
		}
		s.err = nil
		if err := askFor(6 * time.Second); err != nil {
			t.Errorf("it does not recover: %v", err)
		}
	})
}
