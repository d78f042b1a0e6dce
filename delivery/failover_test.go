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

// A callRecorder records the names of the senders that are called, in order.
type callRecorder struct{ calls []string }

func (o *callRecorder) sender(name string, send senderFunc) watchword.Sender {
	return senderFunc(func(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
		o.calls = append(o.calls, name)
		return send(ctx, m)
	})
}

func neverAnswers(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
	<-ctx.Done()
	return watchword.Sent{}, ctx.Err()
}

func acceptsAtOnce(context.Context, watchword.Message) (watchword.Sent, error) {
	return watchword.Sent{}, nil
}

// failsAfter returns a sender that fails after the given time.
func failsAfter(d time.Duration, err error) senderFunc {
	return func(ctx context.Context, _ watchword.Message) (watchword.Sent, error) {
		time.Sleep(d)
		return watchword.Sent{}, err
	}
}

func TestRouterUsesNextProviderAfterOneTimeout(t *testing.T) {
	for _, c := range []struct {
		name    string
		senders []senderFunc
		calls   string
		fails   bool
	}{
		{"the first is silent", []senderFunc{neverAnswers, acceptsAtOnce}, "a b", false},
		{"the first two are silent", []senderFunc{neverAnswers, neverAnswers, acceptsAtOnce}, "a b c", false},
		{"the first fails slowly", []senderFunc{failsAfter(2*time.Second, errDown), acceptsAtOnce}, "a b", false},
		{"the first fails quickly", []senderFunc{failsAfter(time.Millisecond, errDown), acceptsAtOnce}, "a a b", false},
		{"the second is silent", []senderFunc{failsAfter(0, permanentError()), neverAnswers, acceptsAtOnce}, "a b c", false},
		{"all are silent", []senderFunc{neverAnswers, neverAnswers}, "a b", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var o callRecorder
				var senders []watchword.Sender
				for i, s := range c.senders {
					senders = append(senders, o.sender(string(rune('a'+i)), s))
				}
				_, err := newRouter(t, delivery.RouterConfig{}, senders...).Send(t.Context(), newMessage(10*time.Minute))
				if (err != nil) != c.fails || isPermanent(err) {
					t.Errorf("sending ended with %v", err)
				}
				if calls := strings.Join(o.calls, " "); calls != c.calls {
					t.Errorf("calls %s, want %s", calls, c.calls)
				}
			})
		})
	}
}

func isPermanent(err error) bool {
	var failed *watchword.SendError
	return errors.As(err, &failed) && failed.Permanent
}

// A provider that timed out is tried again when the worker retries the message.
func TestWorkerRetriesSilentProviderAfterAllOthersFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o callRecorder
		recovered := func(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
			if len(o.calls) == 1 {
				return neverAnswers(ctx, m)
			}
			return watchword.Sent{}, nil
		}
		r := newRouter(t, delivery.RouterConfig{}, o.sender("a", recovered), o.sender("b", failsAfter(0, permanentError())))
		engine := &fakeEngine{compose: func(watchword.Outgoing) (watchword.Message, error) { return newMessage(10 * time.Minute), nil }}
		q := delivery.NewQueue(1, nil)
		stop := startWorker(t, delivery.WorkerConfig{Engine: engine, Outbox: q, Sender: r})
		putMessages(t, q, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"a", "b", "a"}; !slices.Equal(o.calls, want) || engine.countRecorded(watchword.DeliverySent) != 1 {
			t.Errorf("calls %v, want %v; recorded %v", o.calls, want, engine.recorded)
		}
		_ = stop()
	})
}

// The first provider posts to a server that accepts connections but never answers.
func TestRouterFailsOverFromServerThatNeverAnswers(t *testing.T) {
	silentServer := startSilentServer(t)
	var o callRecorder
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
	r := newRouter(t, delivery.RouterConfig{Timeout: 300 * time.Millisecond}, first, o.sender("b", acceptsAtOnce))
	sent, err := r.Send(t.Context(), newMessage(time.Minute))
	if err != nil || sent.Provider != "b" || strings.Join(o.calls, " ") != "a b" {
		t.Errorf("%+v, %v; calls %v", sent, err, o.calls)
	}
}

// startSilentServer starts a server that accepts connections and reads from them, but never answers.
func startSilentServer(t *testing.T) (addr string) {
	t.Helper()
	return peertest.Listen(t, func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
}
