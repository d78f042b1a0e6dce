package twilio

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// Requests go to the host of the region and edge. The test's transport connects to a local server instead.
func TestSendUsesHostOfRegionAndEdge(t *testing.T) {
	asked := make(chan string, 1)
	twilio := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.TLS.ServerName + " " + r.Host + r.URL.Path
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid": "SM1"}`)
	}))
	defer twilio.Close()
	here := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is for another name
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, twilio.Listener.Addr().String())
		},
	}}
	for parameters, host := range map[string]string{
		"": "api.twilio.com", "&region=ie1": "api.ie1.twilio.com", "&edge=dublin": "api.dublin.us1.twilio.com", "&region=ie1&edge=dublin": "api.dublin.ie1.twilio.com",
	} {
		u, err := url.Parse("twilio://SK1:secret@/?account=AC9&from=ACME" + parameters)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := Open(t.Context(), u, delivery.Environment{}.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		opened.(*sender).client = here
		m := watchword.Message{Channel: "sms", To: "+14155550123", Text: "hello", ExpiresAt: time.Now().Add(time.Minute)}
		if _, err := opened.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got, want := <-asked, host+" "+host+"/2010-04-01/Accounts/AC9/Messages.json"; got != want {
			t.Errorf("%q: asked %s, want %s", parameters, got, want)
		}
	}
}
