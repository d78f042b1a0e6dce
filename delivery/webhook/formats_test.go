package webhook_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// sendAndDecode sends a message in a format and returns the payload that the receiver got.
func sendAndDecode(t *testing.T, format string, m watchword.Message) (*receiver, map[string]any) {
	t.Helper()
	r := newReceiver(t, accept)
	at := time.UnixMilli(1785578400123)
	if _, err := open(t, r.url("secret="+secretA+"&format="+format), func() time.Time { return at }).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(r.bodies[0], &got); err != nil {
		t.Fatal(err)
	}
	return r, got
}

func TestFormatsMatchClerkAndSupabase(t *testing.T) {
	anonymous := sms()
	anonymous.Subject = ""
	code := mail()
	code.Link, code.Purpose, code.Origin = watchword.Code{}, "password_reset", "https://app.example.com"
	whatsapp := sms()
	whatsapp.Channel = "whatsapp"
	link := mail()
	link.Code = watchword.Code{}
	code.Transaction, whatsapp.Transaction = nil, nil // the format cannot contain it
	tests := []struct {
		name, format string
		message      watchword.Message
		want         string
	}{
		{"clerk sms", "clerk", anonymous, `{"object": "event", "type": "sms.created", "instance_id": "ACME", "timestamp": 1785578400123,
			"event_attributes": {"http_request": {"client_ip": "203.0.113.7", "user_agent": "Mozilla/5.0"}},
			"data": {"object": "sms_message", "id": "msg_1", "slug": "verification_code", "from_phone_number": "", "to_phone_number": "+14155550123",
			"phone_number_id": null, "user_id": null, "message": "492039 is your ACME code.", "status": "queued",
			"data": {"otp_code": "492039", "app": {"name": "ACME"}}, "delivered_by_clerk": false, "created_at": 1785578400123}}`},
		{"clerk email", "clerk", link, `{"object": "event", "type": "email.created", "instance_id": "ACME", "timestamp": 1785578400123,
			"event_attributes": {"http_request": {"client_ip": "203.0.113.7", "user_agent": "Mozilla/5.0"}},
			"data": {"object": "email", "id": "msg_1", "slug": "magic_link_sign_in", "from_email_name": "noreply", "reply_to_email_name": null,
			"to_email_address": "ada@example.com", "email_address_id": null, "user_id": "user_42", "subject": "Your code", "body": "<p>492039</p>",
			"body_plain": "492039 is your ACME code.", "status": "queued", "delivered_by_clerk": false,
			"data": {"magic_link": "https://verify.example.com/l/ch_1#lt_secret", "app": {"name": "ACME"}}}}`},
		{"supabase sms", "supabase", whatsapp, `{"metadata": {"uuid": "@", "time": "2026-08-01T10:00:00.123Z", "name": "send-sms", "ip_address": "203.0.113.7"},
			"user": {"id": "user_42", "phone": "+14155550123"}, "sms": {"otp": "492039", "sms_type": "whatsapp", "phone": "+14155550123"}}`},
		{"supabase email", "supabase", code, `{"metadata": {"uuid": "@", "time": "2026-08-01T10:00:00.123Z", "name": "send-email", "ip_address": "203.0.113.7"},
			"user": {"id": "user_42", "email": "ada@example.com"}, "email_data": {"token": "492039", "token_hash": "", "redirect_to": "",
			"email_action_type": "recovery", "site_url": "https://app.example.com", "token_new": "", "token_hash_new": ""}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, got := sendAndDecode(t, tt.format, tt.message)
			if metadata, ok := got["metadata"].(map[string]any); ok {
				if len(metadata["uuid"].(string)) != 36 {
					t.Errorf("uuid %v", metadata["uuid"])
				}
				metadata["uuid"] = "@"
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("\n got %v\nwant %v", got, want)
			}
			for _, part := range []string{"Id", "Timestamp", "Signature"} {
				svix, ours := r.headers[0].Get("Svix-"+part), r.headers[0].Get("Webhook-"+part)
				if ours == "" || tt.format == "clerk" && svix != ours || tt.format != "clerk" && svix != "" {
					t.Errorf("webhook %q, svix %q", ours, svix)
				}
			}
		})
	}
}

func TestSupabaseFormatTranslatesPurposes(t *testing.T) {
	for purpose, want := range map[string]string{
		"sign_in": "magiclink", "password_reset": "recovery", "mfa": "reauthentication", "approve_payment": "reauthentication",
		"signup": "signup", "email_change": "email_change",
	} {
		m := mail()
		m.Purpose, m.Transaction = purpose, nil
		_, got := sendAndDecode(t, "supabase", m)
		if action := got["email_data"].(map[string]any)["email_action_type"]; action != want {
			t.Errorf("%s is %v, want %s", purpose, action, want)
		}
	}
}

// Retries have the same UUID, other messages a different one.
func TestSupabaseFormatKeepsUUIDOfMessage(t *testing.T) {
	uuid := func(id string) any {
		m := sms()
		m.ID, m.Transaction = id, nil
		_, got := sendAndDecode(t, "supabase", m)
		return got["metadata"].(map[string]any)["uuid"]
	}
	if a, b, c := uuid("msg_1"), uuid("msg_1"), uuid("msg_2"); a != b || a == c {
		t.Errorf("got %v, %v and %v", a, b, c)
	}
}

func TestFormatsWithoutVoiceRejectCalls(t *testing.T) {
	for _, format := range []string{"clerk", "supabase"} {
		r := newReceiver(t, accept)
		m := sms()
		m.Channel = "voice"
		_, err := open(t, r.url("secret="+secretA+"&format="+format), time.Now).Send(t.Context(), m)
		refusal, ok := err.(*watchword.SendError)
		if !ok || !refusal.Permanent || len(r.bodies) != 0 {
			t.Errorf("%s: got %v and %d requests", format, err, len(r.bodies))
		}
		for channel, opens := range map[string]bool{"voice": false, "sms": true, "email": true, "": true} {
			if _, err := providers.Open(t.Context(), r.url("secret="+secretA+"&format="+format), delivery.Environment{Development: true, Channel: channel}); (err == nil) != opens {
				t.Errorf("%s is opened for %q: %v", format, channel, err)
			}
		}
	}
}

// Receivers of Supabase's hooks write the text of the message themselves, and the hooks have no field for a transaction.
func TestFormatsWithoutTransactionsRejectThem(t *testing.T) {
	r := newReceiver(t, accept)
	for format, refuses := range map[string]bool{"": false, "&format=clerk": false, "&format=supabase": true} {
		for _, m := range []watchword.Message{sms(), mail()} {
			sender := open(t, r.url("secret="+secretA+format), time.Now)
			checked := sender.(delivery.MessageChecker).CheckMessage(m)
			_, sent := sender.Send(t.Context(), m)
			var failed *watchword.SendError
			if errors.Is(checked, watchword.ErrInvalidRequest) != refuses || (errors.As(sent, &failed) && failed.Permanent) != refuses {
				t.Errorf("%q: %v, %v", format, checked, sent)
			}
			m.Transaction = nil
			if err := sender.(delivery.MessageChecker).CheckMessage(m); err != nil {
				t.Errorf("%q without a transaction: %v", format, err)
			}
		}
	}
	if len(r.bodies) != 4 {
		t.Errorf("%d messages were posted", len(r.bodies))
	}
}
