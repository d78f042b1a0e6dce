package delivery_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// A reportingSender is a sender whose provider reports deliveries.
type reportingSender struct{ *scriptedSender }

func (reportingSender) Callbacks() http.Handler { return http.NotFoundHandler() }

// A silentReporter could report but is not configured for it.
type silentReporter struct{ *scriptedSender }

func (silentReporter) Callbacks() http.Handler { return nil }

func newFailover(t *testing.T, counters delivery.Counters) *delivery.ReportFailover {
	t.Helper()
	reporting, other := reportingSender{&scriptedSender{}}, &scriptedSender{}
	f, err := delivery.NewReportFailover(delivery.ReportFailoverConfig{App: "shop", Router: newRouter(t, delivery.RouterConfig{}, reporting, other, reporting),
		NoReportAfter: map[string]time.Duration{"sms": 30 * time.Second}, Counters: counters})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReportFailoverWaitsOnlyForSendersThatReport(t *testing.T) {
	f := newFailover(t, nil)
	for _, c := range []struct {
		sender string
		tried  []string
		want   time.Duration
	}{
		{"a", nil, 30 * time.Second},
		{"b", nil, 0}, // does not report
		{"c", []string{"a", "b"}, 0},
		{"c", []string{"removed", "b"}, 30 * time.Second}, // a was added after the senders were tried
		{"removed", nil, 0},
		{"", nil, 0},
	} {
		if got := f.ReportTimeout(watchword.Delivery{Channel: "sms", Sender: c.sender, Tried: c.tried}); got != c.want {
			t.Errorf("sender %q after %v: %s, want %s", c.sender, c.tried, got, c.want)
		}
	}
	if got := f.ReportTimeout(watchword.Delivery{Channel: "email", Sender: "a"}); got != 0 {
		t.Errorf("another channel: %s", got)
	}
}

func TestRouterSaysWhichSendersReport(t *testing.T) {
	r := newRouter(t, delivery.RouterConfig{}, reportingSender{&scriptedSender{}}, &scriptedSender{}, silentReporter{&scriptedSender{}}, reportingSender{&scriptedSender{}})
	for sender, want := range map[string]bool{"a": true, "b": false, "c": false, "d": true, "e": false, "": false} {
		if got := r.Reports("sms", sender); got != want {
			t.Errorf("sender %q: %t", sender, got)
		}
	}
	if r.Reports("email", "a") {
		t.Error("a channel without senders reports")
	}
}

func TestNewReportFailoverReportsEveryProblem(t *testing.T) {
	reporting, silent := reportingSender{&scriptedSender{}}, silentReporter{&scriptedSender{}}
	two := newRouter(t, delivery.RouterConfig{}, reporting, &scriptedSender{})
	for _, c := range []struct {
		router *delivery.Router
		after  time.Duration
		want   string
	}{
		{newRouter(t, delivery.RouterConfig{}, reporting), 30 * time.Second, "no second sender"},
		{newRouter(t, delivery.RouterConfig{}, &scriptedSender{}, reporting), 30 * time.Second, "no sender before the last one"},
		{newRouter(t, delivery.RouterConfig{}, silent, &scriptedSender{}), 30 * time.Second, "no sender before the last one"},
		{two, time.Second, "between 5s and 10m0s"},
		{two, time.Hour, "between 5s and 10m0s"},
	} {
		_, err := delivery.NewReportFailover(delivery.ReportFailoverConfig{App: "shop", Router: c.router, NoReportAfter: map[string]time.Duration{"sms": c.after}})
		if err == nil || !strings.Contains(err.Error(), "Failover.sms") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// Silence means nothing for prefixes whose reports rarely come, whichever process has counted the messages and the reports.
func TestReportFailoverIgnoresPrefixesWhoseReportsRarelyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counters := delivery.NewMemoryCounters(nil)
		sends, receives := newFailover(t, counters), newFailover(t, counters)
		created := time.Now()
		for prefix, reports := range map[string]int{"+1415": 9, "+49151": 5, "+8613": 4, "+881": 0} {
			for range 10 {
				sends.CountSent("sms", prefix, created)
			}
			for range reports {
				receives.CountReport("sms", prefix, created)
			}
		}
		for range 9 {
			sends.CountSent("sms", "+33", created) // too few to tell
		}
		exchange := func() {
			for _, f := range []*delivery.ReportFailover{sends, receives, sends} {
				if err := f.Exchange(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		exchange()
		time.Sleep(30 * time.Minute) // the messages are old enough to be evaluated
		exchange()
		exchange()
		for prefix, want := range map[string]bool{"+1415": true, "+49151": true, "+33": true, "+44": true, "+8613": false, "+881": false} {
			for name, f := range map[string]*delivery.ReportFailover{"sending": sends, "receiving": receives} {
				if got := f.ReportsCome("sms", prefix); got != want {
					t.Errorf("%s, in the %s process: %t", prefix, name, got)
				}
			}
		}
		if !sends.ReportsCome("voice", "+881") {
			t.Error("another channel of the prefix is affected")
		}
	})
}

func TestReportFailoverAdoptsSendersAndTimesOfAnother(t *testing.T) {
	f := newFailover(t, nil)
	next, err := delivery.NewReportFailover(delivery.ReportFailoverConfig{App: "shop", NoReportAfter: map[string]time.Duration{"sms": 45 * time.Second},
		Router: newRouter(t, delivery.RouterConfig{}, &scriptedSender{}, reportingSender{&scriptedSender{}}, &scriptedSender{})})
	if err != nil {
		t.Fatal(err)
	}
	f.Adopt(next)
	for sender, want := range map[string]time.Duration{"a": 0, "b": 45 * time.Second, "c": 0} {
		if got := f.ReportTimeout(watchword.Delivery{Channel: "sms", Sender: sender}); got != want {
			t.Errorf("sender %s: %s, want %s", sender, got, want)
		}
	}
	f.Adopt(nil)
	if got := f.ReportTimeout(watchword.Delivery{Channel: "sms", Sender: "b"}); got != 0 {
		t.Errorf("without failover: %s", got)
	}
}
