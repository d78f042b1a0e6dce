package watchword

import (
	"context"
	"time"
)

// The types of events. Events contain no secret and no address.
const (
	EventStarted          = "challenge.started"
	EventApproved         = "challenge.approved"
	EventFailed           = "challenge.failed"
	EventLocked           = "challenge.locked"
	EventExpired          = "challenge.expired"
	EventCanceled         = "challenge.canceled"
	EventMessageSent      = "message.sent"
	EventMessageDelivered = "message.delivered"
	EventMessageFailed    = "message.failed"
	EventFactorEnrolled   = "factor.enrolled"
	EventFactorRemoved    = "factor.removed"
	EventFactorDisabled   = "factor.disabled"
	EventFactorFailing    = "factor.failing" // at 10, 50 and 90 consecutive failures
	EventLimitReached     = "limit.reached"
	EventLinkOpened       = "link.opened"
	EventScannerSuspected = "link.scanner_suspected"
	EventReported         = "challenge.reported" // the recipient of a link has reported that they did not start the challenge
	EventFactorLow        = "factor.low"         // few recovery codes are left
	EventDeviceReused     = "device.reused"      // a replaced token of a trusted device was presented, so that the device was removed: a copy of its cookie was used

	EventVerificationStarted  = "verification.started"
	EventVerificationApproved = "verification.approved" // once, when the receipt is collected; its challenge sends no challenge.approved
	EventVerificationExpired  = "verification.expired"
	EventVerificationCanceled = "verification.canceled"
)

// An Event is a change of a challenge, a factor or a limit. Fields that do not apply are empty.
type Event struct {
	ID           string // set by ComposeEvents: the same however often the event is sent; ids sort by time
	Type         string
	At           time.Time
	App          string
	ChallengeID  string
	Verification string // id of the verification, and of that which a challenge is part of
	Strategy     string
	Purpose      string
	Subject      string
	Channel      string
	Provider     string
	Factor       string
	Limit        string
	Metadata     map[string]string

	// The fields that follow are for metrics in this process. They are not sent to webhook endpoints.
	Prefix      string    // prefix of the phone number that messages go to; empty: no phone number, or no message is really sent
	StartedAt   time.Time // when the challenge was created; zero: unknown
	RequestedAt time.Time // message events: when the start or the resend asked for the message; zero: unknown
	Repeated    bool      // message events: an earlier message of the challenge was sent; approvals: an earlier request approved it
}

// emit sends an event to Config.Events. c may be nil.
func (e *Engine) emit(ctx context.Context, eventType string, c *Challenge, more ...func(*Event)) {
	if e.cfg.Events == nil {
		return
	}
	ev := e.newEvent(eventType, c)
	for _, add := range more {
		changed := ev // a copy, because what add is given is on the heap
		add(&changed)
		ev = changed
	}
	e.cfg.Events(ctx, ev)
}

// newEvent returns an event of now. c may be nil.
func (e *Engine) newEvent(eventType string, c *Challenge) Event {
	ev := Event{Type: eventType, At: e.cfg.Clock().UTC(), App: e.cfg.App}
	if c != nil {
		ev.ChallengeID, ev.Verification, ev.Strategy, ev.Purpose, ev.Subject = c.ID, c.Verification, c.Strategy, c.Purpose, c.Subject
		ev.Channel, ev.Metadata, ev.Prefix, ev.StartedAt = c.Channel, c.Metadata, c.prefix, c.CreatedAt
	}
	return ev
}
