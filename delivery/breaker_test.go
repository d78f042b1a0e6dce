package delivery_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func faultOf(fault watchword.SendFault, permanent bool) error {
	return &watchword.SendError{Fault: fault, Permanent: permanent, Provider: "p", Cause: errors.New("refused")}
}

// sendTo sends one message to each of n recipients, in turns, and returns the calls of the sender.
func sendTo(ctx context.Context, r *delivery.Router, sender *scriptedSender, messages, recipients int) (calls int) {
	before := len(sender.messages)
	for i := range messages {
		m := newMessage(time.Minute)
		m.To = "+1415555010" + strconv.Itoa(i%recipients)
		_, _ = r.Send(ctx, m)
	}
	return len(sender.messages) - before
}

func TestBreakerOpensOnFailuresOfThreeRecipients(t *testing.T) {
	recipient, message := faultOf(watchword.FaultRecipient, false), faultOf(watchword.FaultMessage, true)
	for _, c := range []struct {
		name       string
		answers    []error
		recipients int
		calls      int // of 20 messages
	}{
		{"one recipient fails again and again", repeat(20, errDown), 1, 20},
		{"two recipients", repeat(20, errDown), 2, 20},
		{"three recipients", repeat(20, errDown), 3, 3},
		{"time-outs", repeat(20, error(context.DeadlineExceeded)), 5, 3},
		{"a success between", append(append(repeat(2, errDown), nil), repeat(17, errDown)...), 5, 6},
		{"greylisted recipients", repeat(20, recipient), 9, 20},
		{"refused messages", repeat(20, message), 9, 20},
		{"an answer about a recipient between", append(append(repeat(2, errDown), recipient), repeat(17, errDown)...), 5, 6},
		{"permanent faults of the provider", repeat(20, faultOf(watchword.FaultProvider, true)), 5, 3},
		{"canceled calls", repeat(20, error(context.Canceled)), 9, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sender := &scriptedSender{errors: c.answers}
				r := newRouter(t, delivery.RouterConfig{Tries: 1}, sender)
				if calls := sendTo(context.Background(), r, sender, 20, c.recipients); calls != c.calls {
					t.Errorf("%d calls, want %d", calls, c.calls)
				}
			})
		})
	}
}

// Each router, so each app, and each sender of a channel has a breaker of its own.
func TestBreakerIsPerAppAndSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing, working := &scriptedSender{errors: repeat(99, errDown)}, &scriptedSender{}
		first := newRouter(t, delivery.RouterConfig{Tries: 1}, failing, working)
		if calls := sendTo(t.Context(), first, working, 20, 5); calls != 20 || len(failing.messages) != 3 {
			t.Errorf("%d calls of the working and %d of the failing sender", calls, len(failing.messages))
		}
		other := newRouter(t, delivery.RouterConfig{Tries: 1}, failing)
		if calls := sendTo(t.Context(), other, failing, 1, 1); calls != 1 {
			t.Errorf("%d calls for another app", calls)
		}
	})
}

func TestBreakerProbesAfterRandomPauseAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := 2 * time.Second
		sender := &scriptedSender{errors: repeat(4, errDown)}
		r := newRouter(t, delivery.RouterConfig{Tries: 1, Jitter: func(time.Duration) time.Duration { return random }}, sender)
		sendTo(t.Context(), r, sender, 20, 5)
		for _, step := range []struct {
			after time.Duration
			calls int // of five messages
		}{
			{6900 * time.Millisecond, 0},
			{200 * time.Millisecond, 1}, // a probe, which fails
			{6900 * time.Millisecond, 0},
			{200 * time.Millisecond, 5}, // a probe, which succeeds
		} {
			time.Sleep(step.after)
			if calls := sendTo(t.Context(), r, sender, 5, 5); calls != step.calls {
				t.Errorf("%d calls, want %d", calls, step.calls)
			}
		}
	})
}

// A probe that is answered with a refusal of its recipient closes the breaker: the provider works.
func TestBreakerHealsByAnyAnswerOfTheProvider(t *testing.T) {
	for _, fault := range []watchword.SendFault{watchword.FaultRecipient, watchword.FaultMessage} {
		synctest.Test(t, func(t *testing.T) {
			sender := &scriptedSender{errors: append(repeat(3, errDown), faultOf(fault, true))}
			r := newRouter(t, delivery.RouterConfig{Tries: 1}, sender)
			sendTo(t.Context(), r, sender, 20, 5)
			time.Sleep(11 * time.Second)
			if calls := sendTo(t.Context(), r, sender, 5, 5); calls != 5 {
				t.Errorf("%d calls after an answer about a %s, want 5", calls, fault)
			}
		})
	}
}

// A provider that answers 451 to every recipient is asked once a message and not twice within a second.
func TestRouterDoesNotRepeatRefusalOfRecipient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &scriptedSender{errors: repeat(1, faultOf(watchword.FaultRecipient, false))}, &scriptedSender{}
		sent, err := newRouter(t, delivery.RouterConfig{Tries: 5}, first, second).Send(t.Context(), newMessage(time.Minute))
		if err != nil || sent.Provider != "b" || len(first.messages) != 1 {
			t.Errorf("%+v, %v after %d calls", sent, err, len(first.messages))
		}
	})
}

func TestRouterErrorNamesWorstFault(t *testing.T) {
	for _, c := range []struct {
		first, second watchword.SendFault
		want          watchword.SendFault
	}{
		{watchword.FaultMessage, watchword.FaultMessage, watchword.FaultMessage},
		{watchword.FaultMessage, watchword.FaultRecipient, watchword.FaultRecipient},
		{watchword.FaultProvider, watchword.FaultRecipient, watchword.FaultProvider},
	} {
		r := newRouter(t, delivery.RouterConfig{Tries: 1}, &scriptedSender{errors: repeat(1, faultOf(c.first, true))}, &scriptedSender{errors: repeat(1, faultOf(c.second, true))})
		_, err := r.Send(t.Context(), newMessage(time.Minute))
		var failed *watchword.SendError
		if !errors.As(err, &failed) || failed.Fault != c.want || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%v and %v: %v of %v", c.first, c.second, err, failed.Fault)
		}
	}
}
