package clienttest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/client/clienttest"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
)

// startInbox returns the inbox of a development server, and the sender that fills it.
func startInbox(t *testing.T) (*clienttest.Inbox, watchword.Sender) {
	t.Helper()
	var box inbox.Inbox
	sender, err := box.Open(t.Context(), &url.URL{Scheme: "inbox"}, delivery.Environment{Development: true, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(box.Handler())
	t.Cleanup(web.Close)
	return clienttest.NewInbox(web.URL + "/"), sender
}

func send(t *testing.T, sender watchword.Sender, m watchword.Message) {
	t.Helper()
	if _, err := sender.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func TestWaitForReturnsNewestMessageOfAddressAndChallenge(t *testing.T) {
	t.Parallel()
	box, sender := startInbox(t)
	const ann = "ann+1@example.com"
	go func() {
		send(t, sender, watchword.Message{ID: "msg_1", ChallengeID: "ch_1", Channel: "email", To: ann, Code: watchword.NewCode("111111")})
		send(t, sender, watchword.Message{ID: "msg_2", ChallengeID: "ch_2", Channel: "email", To: "bob@example.com", Code: watchword.NewCode("222222")})
		send(t, sender, watchword.Message{ID: "msg_3", ChallengeID: "ch_3", Channel: "email", To: ann, Code: watchword.NewCode("333333"), Link: watchword.NewCode("https://x")})
	}()
	last, err := box.WaitFor(t.Context(), clienttest.Query{Challenge: "ch_3"})
	if err != nil || last.Code != "333333" || last.Link != "https://x" || last.At.IsZero() {
		t.Fatalf("%+v, %v", last, err)
	}
	for query, code := range map[clienttest.Query]string{{To: ann}: "333333", {To: ann, Challenge: "ch_1"}: "111111", {To: "bob@example.com"}: "222222", {}: "333333"} {
		if m, err := box.WaitFor(t.Context(), query); err != nil || m.Code != code {
			t.Errorf("%+v: %+v, %v", query, m, err)
		}
	}
	if all, err := box.List(t.Context(), clienttest.Query{To: ann}); err != nil || len(all) != 2 {
		t.Errorf("listed %+v, %v", all, err)
	}
}

func TestWaitForEndsWithItsContext(t *testing.T) {
	t.Parallel()
	box, sender := startInbox(t)
	send(t, sender, watchword.Message{ID: "msg_1", ChallengeID: "ch_1", To: "ann@example.com"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := box.WaitFor(ctx, clienttest.Query{Challenge: "ch_2"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestInboxOfProductionServerIsAnError(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	if _, err := clienttest.NewInbox(web.URL).WaitFor(t.Context(), clienttest.Query{}); err == nil || !strings.Contains(err.Error(), "development") {
		t.Error(err)
	}
}
