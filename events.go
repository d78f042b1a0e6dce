package watchword

import (
	"context"
	"time"
)

// The events. They are thin and hold no secret and no address.
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
	EventReported         = "challenge.reported" // the link's reader says that it was not him
	EventFactorLow        = "factor.low"         // few recovery codes are left
)

// An Event says that something happened to a challenge, a factor or a limit.
type Event struct {
	Type        string
	At          time.Time
	App         string
	ChallengeID string
	Strategy    string
	Purpose     string
	Subject     string
	Channel     string
	Provider    string
	Factor      string
	Limit       string
	Metadata    map[string]string

	// What follows is for whoever counts in this process. It is not for endpoints.
	Prefix    string    // of the number that the challenge's messages go to; empty: they go to none, or only look sent
	StartedAt time.Time // when the challenge was created; zero where the event does not know
	Repeated  bool      // a message: another one of the challenge was sent before; an approval: an earlier request has won it
}

// emit tells whoever listens; c may be nil.
func (e *Engine) emit(ctx context.Context, kind string, c *Challenge, more ...func(*Event)) {
	if e.cfg.Events == nil {
		return
	}
	ev := Event{Type: kind, At: e.cfg.Clock().UTC(), App: e.cfg.App}
	if c != nil {
		ev.ChallengeID, ev.Strategy, ev.Purpose, ev.Subject = c.ID, c.Strategy, c.Purpose, c.Subject
		ev.Channel, ev.Metadata, ev.Prefix, ev.StartedAt = c.Channel, c.Metadata, c.prefix, c.CreatedAt
	}
	for _, add := range more {
		add(&ev)
	}
	e.cfg.Events(ctx, ev)
}
