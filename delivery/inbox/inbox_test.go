package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, box *inbox.Inbox) watchword.Sender {
	t.Helper()
	env := delivery.Environment{Development: true, Now: func() time.Time { return noon }}
	sender, err := delivery.Openers{"inbox": box.Open}.Open(t.Context(), "inbox:", env)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func send(t *testing.T, sender watchword.Sender, m watchword.Message) {
	t.Helper()
	sent, err := sender.Send(t.Context(), m)
	if err != nil || sent.Provider != "inbox" || sent.Reference != m.ID {
		t.Fatalf("sent %+v, %v", sent, err)
	}
}

func get(t *testing.T, box *inbox.Inbox, path string) *httptest.ResponseRecorder {
	t.Helper()
	return request(box, http.MethodGet, path, "localhost:8080")
}

func request(box *inbox.Inbox, method, path, host string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
	r.Host = host
	box.Handler().ServeHTTP(w, r)
	return w
}

func listMessages(t *testing.T, box *inbox.Inbox, path string) (out []map[string]string) {
	t.Helper()
	w := get(t, box, path)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %d %v", path, w.Code, w.Header())
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestHandlerListsMessagesAsJSON(t *testing.T) {
	box := new(inbox.Inbox)
	if got := get(t, box, "/inbox/messages").Body.String(); got != "[]\n" {
		t.Errorf("empty: %q", got)
	}
	sender := open(t, box)
	send(t, sender, watchword.Message{ID: "msg_1", ChallengeID: "ch_1", Channel: "sms", To: "+14155550123", Text: "1 is your code", Code: watchword.NewCode("1")})
	send(t, sender, watchword.Message{ID: "msg_2", ChallengeID: "ch_2", Channel: "email", To: "Ada+x@example.com", Subject: "user_42", Title: "Your link",
		Text: "open", HTML: "<p>open</p>", Link: watchword.NewCode("https://verify.example.com/l/ch_2#lt_2")})

	first := map[string]string{"id": "msg_1", "challenge_id": "ch_1", "channel": "sms", "to": "+14155550123", "subject": "", "text": "1 is your code",
		"html": "", "code": "1", "link": "", "at": "2026-08-01T12:00:00Z"}
	second := map[string]string{"id": "msg_2", "challenge_id": "ch_2", "channel": "email", "to": "Ada+x@example.com", "subject": "Your link", "text": "open",
		"html": "<p>open</p>", "code": "", "link": "https://verify.example.com/l/ch_2#lt_2", "at": "2026-08-01T12:00:00Z"}
	for path, want := range map[string][]map[string]string{
		"/inbox/messages":                            {second, first},
		"/inbox/messages?to=%2B14155550123":          {first},
		"/inbox/messages?to=+14155550123":            {first}, // as people type it
		"/inbox/messages?to=ada%2bx@example.com":     {second},
		"/inbox/messages?to=nobody@example.com":      {},
		"/inbox/messages?to=%2B14155550123&to=other": {first},
	} {
		if got := listMessages(t, box, path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %v\nwant %v", path, got, want)
		}
	}
}

func TestInboxKeepsNewestMessages(t *testing.T) {
	box := new(inbox.Inbox)
	sender := open(t, box)
	for i := range 250 {
		send(t, sender, watchword.Message{ID: fmt.Sprint(i), HTML: "x"})
	}
	got := listMessages(t, box, "/inbox/messages")
	if len(got) != 200 || got[0]["id"] != "249" || got[199]["id"] != "50" {
		t.Errorf("%d messages, from %s to %s", len(got), got[0]["id"], got[len(got)-1]["id"])
	}
	if old, kept := get(t, box, "/inbox/mail/50").Code, get(t, box, "/inbox/mail/51").Code; old != 404 || kept != 200 {
		t.Errorf("the mail that was forgotten: %d; the oldest kept: %d", old, kept)
	}
}

func TestInboxIsSafeForConcurrentUse(t *testing.T) {
	box := new(inbox.Inbox)
	sender := open(t, box)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 10 {
				send(t, sender, watchword.Message{ID: "m", To: "x"})
				listMessages(t, box, "/inbox/messages?to=x")
				get(t, box, "/inbox")
			}
		})
	}
	wait.Wait()
	if count := get(t, box, "/inbox").Header().Get("Inbox-Newest"); count != "80" {
		t.Errorf("count %s", count)
	}
}

func TestOpenRequiresDevelopmentAndBareURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		dev  bool
		want string
	}{
		{"inbox:", false, "in development only"},
		{"inbox:x", true, "nothing follows"},
		{"inbox://host", true, "nothing follows"},
		{"inbox:?to=x", true, "nothing follows"},
		{"inbox:#x", true, "nothing follows"},
	} {
		_, err := delivery.Openers{"inbox": new(inbox.Inbox).Open}.Open(t.Context(), tt.url, delivery.Environment{Development: tt.dev})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.url, err)
		}
	}
}

func TestSendFailsWhenContextIsCanceled(t *testing.T) {
	box := new(inbox.Inbox)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := open(t, box).Send(ctx, watchword.Message{})
	var refusal *watchword.SendError
	if !errors.As(err, &refusal) || refusal.Permanent || !errors.Is(err, context.Canceled) || len(listMessages(t, box, "/inbox/messages")) != 0 {
		t.Errorf("got %v", err)
	}
}

func Example() {
	box := new(inbox.Inbox)
	providers := delivery.Openers{"inbox": box.Open}
	sender, err := providers.Open(context.Background(), "inbox:", delivery.Environment{Development: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = sender.Send(context.Background(), watchword.Message{ID: "msg_1", Channel: "sms", To: "+14155550123", Code: watchword.NewCode("492039")})

	server := httptest.NewServer(box.Handler())
	defer server.Close()
	answer, err := http.Get(server.URL + "/inbox/messages?to=+14155550123")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	var messages []struct{ Code string }
	_ = json.NewDecoder(answer.Body).Decode(&messages)
	fmt.Println(messages[0].Code)
	// Output: 492039
}
