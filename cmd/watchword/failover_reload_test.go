package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// A message whose sender has failed moves to a sender that has not had it, whatever a reload has made of the list meanwhile.
func TestReloadBetweenSendAndFailoverMovesMessageToRemainingSender(t *testing.T) {
	t.Parallel()
	a := startReportingReceiver(t, "whsec_lgsfXgy1A3fnp0cGeMF/L8/Jx3vDLWNO", httptest.NewTLSServer)
	b := startReportingReceiver(t, "whsec_Q4ompQxEEUU5tq9pDcnjWeZRzFgxUv0N", httptest.NewTLSServer)
	c := startReportingReceiver(t, "whsec_X1QjJfboPDbRBgjLuQiqeuBPvufRYlaF", httptest.NewTLSServer)
	list := func(receivers ...*reportingReceiver) string {
		var urls []string
		for _, r := range receivers {
			urls = append(urls, `"`+r.senderURL()+`"`)
		}
		return "[" + strings.Join(urls, ", ") + "]"
	}
	path := writeProductionConfig(t, redistest.Start(t).URL(), "apps:\n  - id: shop\n    keys: [{sha256: "+apiKeyDigest("quiet")+", scopes: [challenges]}]\n"+
		"    failover: {sms: {no_report_after: 5s}}\n    send: {sms: "+list(a, b)+"}\n")
	r := &reloader{node: startServer(t, []string{"SSL_CERT_FILE=" + writeCertificate(t, a.Server)}, "--log-level", "info", "--config", path), path: path}
	r.key = "quiet"
	configured := list(a, b)
	for _, step := range []struct {
		name        string
		first       *reportingReceiver   // that has accepted the message
		reload      []*reportingReceiver // the senders afterwards
		reportsLost bool                 // the first sender has gone, and with it the URL of its reports
		next        *reportingReceiver
	}{
		{"the list is reversed", a, []*reportingReceiver{b, a}, false, b},
		{"a sender is added in front", b, []*reportingReceiver{c, b, a}, false, c},
		{"the sender is removed", c, []*reportingReceiver{b, a}, true, b},
	} {
		id := r.mustSend(apiRequest{method: http.MethodPost, path: "/v1/challenges",
			body: object{"strategy": "otp", "purpose": "sign_in", "channel": "sms", "to": "+14155550123"}}).str("id")
		m := step.first.waitFor(t, id)
		waitFor(t, "sent webhook", func() string { return r.deliveryStatus(id) })
		r.change(t, configured, list(step.reload...), reloaded)
		configured = list(step.reload...)
		want := http.StatusNoContent
		if step.reportsLost {
			want = http.StatusNotFound
		}
		if status := step.first.post(r.node, m, signedReport{body: negative}); status != want {
			t.Errorf("%s: the report of the first sender is answered %d, want %d", step.name, status, want)
		}
		if moved := step.next.waitFor(t, id); moved.MessageID != m.MessageID || moved.Code != m.Code {
			t.Errorf("%s: the next sender got %+v, the first one %+v", step.name, moved, m)
		}
		for _, sender := range []*reportingReceiver{a, b, c} {
			want := 0
			if sender == step.first || sender == step.next {
				want = 1
			}
			if n := len(sender.of(id)); n != want {
				t.Errorf("%s: a sender has the message %d times, want %d", step.name, n, want)
			}
		}
	}
}
