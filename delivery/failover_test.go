package delivery_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/peertest"
)

// An order notes which senders are asked, in turn.
type order struct{ asked []string }

func (o *order) sender(name string, send senderFunc) watchword.Sender {
	return senderFunc(func(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
		o.asked = append(o.asked, name)
		return send(ctx, m)
	})
}

func silent(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
	<-ctx.Done()
	return watchword.Sent{}, ctx.Err()
}

func accepts(context.Context, watchword.Message) (watchword.Sent, error) {
	return watchword.Sent{}, nil
}

// failsAfter is a sender that works on its answer for a while.
func failsAfter(d time.Duration, err error) senderFunc {
	return func(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
		time.Sleep(d)
		return watchword.Sent{}, err
	}
}

func TestRouterAsksTheNextProviderAfterOneTimeout(t *testing.T) {
	for _, c := range []struct {
		name    string
		senders []senderFunc
		asked   string
		fails   bool
	}{
		{"the first is silent", []senderFunc{silent, accepts}, "a b", false},
		{"the first two are silent", []senderFunc{silent, silent, accepts}, "a b c", false},
		{"the first fails slowly", []senderFunc{failsAfter(2*time.Second, errDown), accepts}, "a b", false},
		{"the first fails quickly", []senderFunc{failsAfter(time.Millisecond, errDown), accepts}, "a a b", false},
		{"the second is silent", []senderFunc{failsAfter(0, permanent()), silent, accepts}, "a b c", false},
		{"all are silent", []senderFunc{silent, silent}, "a b", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var o order
				var senders []watchword.Sender
				for i, s := range c.senders {
					senders = append(senders, o.sender(string(rune('a'+i)), s))
				}
				_, err := router(t, delivery.RouterConfig{}, senders...).Send(t.Context(), message(10*time.Minute))
				if (err != nil) != c.fails || asPermanent(err) {
					t.Errorf("sending ended with %v", err)
				}
				if asked := strings.Join(o.asked, " "); asked != c.asked {
					t.Errorf("asked %s, want %s", asked, c.asked)
				}
			})
		})
	}
}

func asPermanent(err error) bool {
	var failed *watchword.SendError
	return errors.As(err, &failed) && failed.Permanent
}

// A provider that was silent once is asked again when the worker repeats the message, within the life of its code.
func TestWorkerAsksSilentProviderAgainAfterAllOthersFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o order
		recovered := func(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
			if len(o.asked) == 1 {
				return silent(ctx, m)
			}
			return watchword.Sent{}, nil
		}
		r := router(t, delivery.RouterConfig{}, o.sender("a", recovered), o.sender("b", failsAfter(0, permanent())))
		engine := &fakeEngine{compose: func(watchword.Outgoing) (watchword.Message, error) { return message(10 * time.Minute), nil }}
		q := delivery.NewQueue(1, nil)
		stop := running(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: r})
		put(t, q, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"a", "b", "a"}; !slices.Equal(o.asked, want) || engine.count(watchword.DeliverySent) != 1 {
			t.Errorf("asked %v, want %v; recorded %v", o.asked, want, engine.recorded)
		}
		_ = stop()
	})
}

// A server that takes connections and never says anything, behind a sender that does HTTP.
func TestRouterFailsOverFromServerThatNeverAnswers(t *testing.T) {
	silentServer := listenAndSayNothing(t)
	var o order
	first := o.sender("a", func(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+silentServer, strings.NewReader(m.ID))
		if err != nil {
			return watchword.Sent{}, err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return watchword.Sent{}, &watchword.SendError{Provider: "silent", Cause: err}
		}
		return watchword.Sent{}, answer.Body.Close()
	})
	r := router(t, delivery.RouterConfig{Timeout: 300 * time.Millisecond}, first, o.sender("b", accepts))
	sent, err := r.Send(t.Context(), message(time.Minute))
	if err != nil || sent.Provider != "b" || strings.Join(o.asked, " ") != "a b" {
		t.Errorf("%+v, %v; asked %v", sent, err, o.asked)
	}
}

// listenAndSayNothing takes every connection and reads from it until it is closed.
func listenAndSayNothing(t *testing.T) (addr string) {
	t.Helper()
	return peertest.Listen(t, func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
}
