package webhook

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// A supabaseHook is the payload of Supabase's Send-SMS and Send-Email hooks.
type supabaseHook struct {
	Metadata supabaseMetadata `json:"metadata"`
	User     supabaseUser     `json:"user"`
	SMS      *supabaseSMS     `json:"sms,omitempty"`
	Email    *supabaseEmail   `json:"email_data,omitempty"`
}

type supabaseMetadata struct {
	UUID string    `json:"uuid"`
	Time time.Time `json:"time"`
	Name string    `json:"name"`
	IP   string    `json:"ip_address"`
}

type supabaseUser struct {
	ID    string `json:"id"`
	Phone string `json:"phone,omitempty"`
	Email string `json:"email,omitempty"`
}

type supabaseSMS struct {
	Code  string `json:"otp"`
	Type  string `json:"sms_type"`
	Phone string `json:"phone"`
}

type supabaseEmail struct {
	Code         string `json:"token"`
	TokenHash    string `json:"token_hash"`
	Redirect     string `json:"redirect_to"` // the whole link, if there is one
	Action       string `json:"email_action_type"`
	Site         string `json:"site_url"`
	CodeNew      string `json:"token_new"`
	TokenHashNew string `json:"token_hash_new"`
}

const errTransactionUnsupported outbound.Failure = "this format cannot contain a transaction"

func supabaseFormat(m watchword.Message, _ string, now time.Time) (any, error) {
	if len(m.Transaction) > 0 {
		return nil, errTransactionUnsupported
	}
	out := supabaseHook{
		Metadata: supabaseMetadata{UUID: stableUUID(m.ID), Time: now.UTC().Truncate(time.Millisecond), IP: m.Client.IP},
		User:     supabaseUser{ID: m.Subject},
	}
	switch m.Channel {
	case "voice":
		return nil, errVoiceUnsupported
	case "email":
		out.Metadata.Name = "send-email"
		out.User.Email = m.To
		out.Email = &supabaseEmail{
			Code: m.Code.Reveal(), Redirect: m.Link.Reveal(), Action: supabaseAction(m.Purpose), Site: m.Origin,
		}
	default:
		out.Metadata.Name = "send-sms"
		out.User.Phone = m.To
		out.SMS = &supabaseSMS{Code: m.Code.Reveal(), Type: m.Channel, Phone: m.To}
	}
	return out, nil
}

// supabaseAction returns Supabase's name of a purpose. Apps may use Supabase's own names as purposes.
func supabaseAction(purpose string) string {
	switch purpose {
	case watchword.PurposeSignIn:
		return "magiclink"
	case watchword.PurposePasswordReset:
		return "recovery"
	case "magiclink", "signup", "recovery", "email_change":
		return purpose
	}
	return "reauthentication"
}

// stableUUID derives a UUID from a message's id, so that all tries have the same one (version 8, RFC 9562 §5.8).
func stableUUID(id string) string {
	sum := sha256.Sum256([]byte(id))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
