package watchword

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// IsQueued reports whether events of a type are queued in the step that writes what happened, if the store is an EventOutbox: those
// of starts, endings and messages. The others are sent best effort.
func IsQueued(eventType string) bool {
	switch eventType {
	case EventStarted, EventApproved, EventLocked, EventExpired, EventCanceled, EventReported, EventMessageSent, EventMessageDelivered, EventMessageFailed,
		EventVerificationStarted, EventVerificationApproved, EventVerificationExpired, EventVerificationCanceled:
		return true
	}
	return false
}

// queuesAny reports whether somebody gets one of the types and the store queues them.
func (e *Engine) queuesAny(eventTypes ...string) bool {
	return e.queuesEvents && slices.ContainsFunc(eventTypes, e.cfg.Subscribed)
}

// startOutgoing returns what is queued in the step that creates a challenge.
func (e *Engine) startOutgoing(rec *record) (out []Outgoing) {
	if e.queuesAny(EventStarted) {
		out = append(out, Outgoing{Kind: KindStarted, ChallengeID: rec.ID, fresh: rec})
	}
	if e.queuesAny(EventExpired) {
		out = append(out, Outgoing{Kind: KindExpiry, ChallengeID: rec.ID, Due: rec.ExpiresAt.Add(expirySlack)})
	}
	return out
}

// expirySlack is how much later than the expiry its event is due, because clocks differ.
const expirySlack = time.Second

// endOutgoing returns what is queued in the step that ends a challenge.
func (e *Engine) endOutgoing(id challengeID) []Outgoing {
	if !e.queuesAny(EventApproved, EventLocked, EventCanceled, EventReported) {
		return nil
	}
	return []Outgoing{{Kind: KindEnded, ChallengeID: id.text}}
}

// A deliveryEvent is a change of the state of a challenge's messages, kept in the record until its event was sent.
type deliveryEvent struct {
	Number   int // of the change in its challenge, from 1
	Type     string
	At       time.Time
	Channel  string
	Provider string
	Repeated bool
}

func (d *deliveryEvent) fields(c *codec.Codec) {
	c.Number(&d.Number)
	c.Text(&d.Type)
	c.Moment(&d.At)
	c.Text(&d.Channel)
	c.Text(&d.Provider)
	c.Flag(&d.Repeated)
}

const maxDeliveryEvents = 8 // of a record; the oldest is dropped

// addDeliveryEvent adds the event of a delivery to the record, and returns what is queued in the step that writes the record.
func (e *Engine) addDeliveryEvent(rec *record, d Delivery, repeated bool) []Outgoing {
	eventType := deliveryEventType(d)
	if eventType == "" || !e.queuesAny(eventType) {
		return nil
	}
	ev := deliveryEvent{Number: 1, Type: eventType, At: e.cfg.Clock().UTC().Truncate(time.Millisecond), Channel: d.Channel, Provider: d.Provider, Repeated: repeated}
	kept := rec.DeliveryEvents
	if n := len(kept); n > 0 {
		ev.Number = kept[n-1].Number + 1
		kept = kept[max(n+1-maxDeliveryEvents, 0):]
	}
	rec.DeliveryEvents = append(slices.Clip(kept), ev) // a copy: others may read the old list
	return []Outgoing{{Kind: KindDelivery, ChallengeID: rec.ID, Send: ev.Number}}
}

// ComposeEvents returns the events of an Outgoing with an event's kind, with ids that are the same each time. It believes only the
// encrypted challenge or verification, and of a challenge's entry a valid mark, except that whoever can write to the store can lock a challenge, and so have
// EventLocked sent with a time of their choice within the challenge's life. ErrClosed and ErrNotFound mean that there is no such
// event. A *ClaimedError means that it has not happened yet. Both can be read for 15 minutes after their expiry.
func (e *Engine) ComposeEvents(ctx context.Context, o Outgoing) ([]Event, error) {
	if strings.HasPrefix(o.ChallengeID, verificationPrefix) {
		return e.composeVerificationEvents(ctx, o)
	}
	switch o.Kind {
	case KindStarted:
		rec, _, err := e.readHappened(ctx, o)
		if err != nil {
			return nil, err
		}
		return e.identifyEvents(0, e.eventOf(rec, EventStarted, rec.CreatedAt)), nil
	case KindDelivery:
		return e.composeDeliveryEvent(ctx, o)
	case KindEnded, KindExpiry:
		return e.composeEnding(ctx, o)
	}
	return nil, ErrNotFound
}

// readHappened returns the record of a challenge: the one that this process has written, if it is there, without an entry.
func (e *Engine) readHappened(ctx context.Context, o Outgoing) (*record, Entry, error) {
	if o.fresh != nil {
		return o.fresh, Entry{}, nil
	}
	id, err := e.parse(o.ChallengeID)
	if err != nil {
		return nil, Entry{}, ErrNotFound
	}
	entry, rec, err := e.read(ctx, id)
	if errors.Is(err, ErrUnknownChallenge) {
		err = ErrNotFound
	}
	return rec, entry, err
}

func (e *Engine) composeDeliveryEvent(ctx context.Context, o Outgoing) ([]Event, error) {
	rec, _, err := e.readHappened(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, d := range rec.DeliveryEvents {
		if d.Number == o.Send {
			ev := e.eventOf(rec, d.Type, d.At)
			ev.Channel, ev.Provider, ev.Repeated = d.Channel, d.Provider, d.Repeated
			return e.identifyEvents(d.Number, ev), nil
		}
	}
	return nil, ErrClosed
}

// composeEnding returns the events of the state in which a challenge is. An expired one has the event of its expiry only.
func (e *Engine) composeEnding(ctx context.Context, o Outgoing) ([]Event, error) {
	rec, entry, err := e.readHappened(ctx, o)
	if err != nil {
		return nil, err
	}
	status, approved := e.status(rec, entry)
	if (status == Expired || status == Pending) != (o.Kind == KindExpiry) {
		return nil, ErrClosed
	}
	switch status {
	case Pending:
		return nil, &ClaimedError{rec.ExpiresAt.Add(expirySlack)}
	case Expired:
		e.recordExpired(ctx, rec.id, &rec.Challenge)
		return e.identifyEvents(0, e.eventOf(rec, EventExpired, rec.ExpiresAt)), nil
	case Approved:
		if rec.Verification != "" {
			return nil, ErrClosed // EventVerificationApproved comes instead
		}
		return e.identifyEvents(0, e.eventOf(rec, EventApproved, approved.at)), nil
	case Canceled:
		at, reported, ok := rec.readCancelMark(entry.Mark)
		if !ok {
			return nil, ErrClosed
		}
		events := []Event{e.eventOf(rec, EventCanceled, at)}
		if reported {
			events = append(events, e.eventOf(rec, EventReported, at))
		}
		return e.identifyEvents(0, events...), nil
	case Locked:
		return e.identifyEvents(0, e.eventOf(rec, EventLocked, clampTime(entry.LastTry, rec.CreatedAt, rec.ExpiresAt.Add(tryTimeout)))), nil
	}
	return nil, ErrClosed
}

func clampTime(t, first, last time.Time) time.Time {
	if t.Before(first) {
		return first
	}
	if t.After(last) {
		return last
	}
	return t
}

// eventOf returns an event about a challenge that was read.
func (e *Engine) eventOf(rec *record, eventType string, at time.Time) Event {
	ev := e.newEvent(eventType, &rec.Challenge)
	ev.At = at.UTC().Truncate(time.Millisecond)
	return ev
}

// identifyEvents sets the ids of events, and leaves out those that nobody gets.
func (e *Engine) identifyEvents(number int, events ...Event) []Event {
	events = slices.DeleteFunc(events, func(ev Event) bool { return !e.queuesAny(ev.Type) })
	for i := range events {
		events[i].ID = e.eventID(events[i], number)
	}
	return events
}

// A cancel mark is the engine's proof in a store's entry that it has canceled the challenge: whether the recipient of its link has
// reported it, the time in milliseconds, and HMAC(key of the app, id | reported | time | canceled). Marks of approvals are longer.
const (
	cancelPlain      = 'x'
	cancelReported   = 'r'
	cancelMarkHead   = 1 + 8
	cancelMarkSize   = cancelMarkHead + 32
	cancelMarkedData = "canceled"
)

func (r *record) cancelMark(at time.Time, reported bool) []byte {
	kind := byte(cancelPlain)
	if reported {
		kind = cancelReported
	}
	mark := append(make([]byte, 0, cancelMarkSize), kind)
	mark = binary.BigEndian.AppendUint64(mark, uint64(at.UnixMilli()))
	sum := r.key.marks.sum(r.ID, string(mark), cancelMarkedData)
	return append(mark, sum[:]...)
}

// readCancelMark decodes a mark, and reports whether it is valid.
func (r *record) readCancelMark(mark []byte) (at time.Time, reported, ok bool) {
	if len(mark) != cancelMarkSize {
		return time.Time{}, false, false
	}
	sum := r.key.marks.sum(r.ID, string(mark[:cancelMarkHead]), cancelMarkedData)
	if !hmac.Equal(mark[cancelMarkHead:], sum[:]) {
		return time.Time{}, false, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(mark[1:]))).UTC(), mark[0] == cancelReported, true
}
