package delivery_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func TestRouterReportsEachTryWithWhoseFaultItWas(t *testing.T) {
	first, second := delivery.RouteSender{Channel: "sms", Position: 0, Provider: "a"}, delivery.RouteSender{Channel: "sms", Position: 1, Provider: "b"}
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			answers []error
			want    []delivery.TryResult // of the first sender
		}{
			{nil, []delivery.TryResult{delivery.TryAccepted}},
			{repeat(1, errDown), []delivery.TryResult{delivery.TryProvider, delivery.TryAccepted}},
			{repeat(1, context.DeadlineExceeded), []delivery.TryResult{delivery.TryProvider, delivery.TryAccepted}},
			{repeat(1, context.Canceled), []delivery.TryResult{delivery.TryCanceled, delivery.TryAccepted}},
			{repeat(1, faultOf(watchword.FaultRecipient, true)), []delivery.TryResult{delivery.TryRecipient}},
			{repeat(1, faultOf(watchword.FaultMessage, true)), []delivery.TryResult{delivery.TryMessage}},
		} {
			var tries []delivery.Try
			cfg := delivery.RouterConfig{OnTry: func(try delivery.Try) { tries = append(tries, try) }, Jitter: func(d time.Duration) time.Duration { return d }}
			slow := senderFunc(func(context.Context, watchword.Message) (watchword.Sent, error) {
				time.Sleep(2 * time.Second)
				return watchword.Sent{}, nil
			})
			m := newMessage(time.Minute)
			m.RequestedAt = time.Now()
			time.Sleep(time.Second)
			if _, err := newRouter(t, cfg, &scriptedSender{errors: c.answers}, slow).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			var results []delivery.TryResult
			for _, try := range tries {
				if try.Sender == first {
					results = append(results, try.Result)
				}
			}
			if !slices.Equal(results, c.want) {
				t.Errorf("%v: %v, want %v", c.answers, results, c.want)
			}
			last := tries[len(tries)-1]
			if last.Result != delivery.TryAccepted || last.Waited < time.Second || last.Sender == second && last.Took != 2*time.Second {
				t.Errorf("%v: the last try is %+v", c.answers, last)
			}
		}
	})
}

func TestRouterReportsSkippedTriesAndWhichBreakersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := delivery.RouteSender{Channel: "sms", Position: 0, Provider: "a"}, delivery.RouteSender{Channel: "sms", Position: 1, Provider: "b"}
		results := map[delivery.RouteSender]map[delivery.TryResult]int{first: {}, second: {}}
		sender := &scriptedSender{errors: repeat(3, faultOf(watchword.FaultProvider, true))}
		r := newRouter(t, delivery.RouterConfig{OnTry: func(try delivery.Try) { results[try.Sender][try.Result]++ }}, sender, &scriptedSender{})
		if closed := r.Senders(); len(closed) != 2 || !closed[first] || !closed[second] {
			t.Errorf("at the start: %v", closed)
		}
		for i := range 5 {
			m := newMessage(time.Minute)
			m.To += strconv.Itoa(i)
			if _, err := r.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if closed := r.Senders(); closed[first] || !closed[second] {
			t.Errorf("after three failures: %v", closed)
		}
		if got := results[first]; got[delivery.TryProvider] != 3 || got[delivery.TrySkipped] != 2 || results[second][delivery.TryAccepted] != 5 {
			t.Errorf("tries: %v", results)
		}
		time.Sleep(15 * time.Second)
		if _, err := r.Send(t.Context(), newMessage(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if closed := r.Senders(); !closed[first] {
			t.Errorf("after a success: %v", closed)
		}
	})
}
