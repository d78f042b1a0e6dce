package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// SendTimeout is the longest time from ComposeMessage to the end of Sender.Send, failover to other senders included. After
// SendLease the process that claimed a send counts as dead, and another try is made.
const (
	SendTimeout = 30 * time.Second
	SendLease   = SendTimeout + 5*time.Second
)

// maxUnsettledTries is how many tries of one send may be begun without a failure in between: a process may have died before it
// called the sender, so there is a second one.
const maxUnsettledTries = 2

// retrySlack is how much earlier than planned a try may begin, because the clocks of processes differ.
const retrySlack = time.Second

// A ClaimedError is returned by ComposeMessage if the send must not be tried now.
type ClaimedError struct{ Until time.Time } // when it may be tried, by the engine's clock

// Error returns the time.
func (e *ClaimedError) Error() string {
	return "watchword: the send is claimed until " + e.Until.UTC().Format(time.RFC3339)
}

// A sendClaim is the part of a record that bounds how often its current send is tried, whatever the outbox returns.
type sendClaim struct {
	Begun   int       // tries that were begun
	Failed  int       // of those, how many have failed
	At      time.Time // when the last one was begun
	RetryAt time.Time // when the next one may begin
}

func (c *sendClaim) fields(f *codec.Codec) {
	f.Number(&c.Begun)
	f.Number(&c.Failed)
	f.Moment(&c.At)
	f.Moment(&c.RetryAt)
}

// newSendClaim returns the claim of a first try that begins now.
func newSendClaim(now time.Time) (c sendClaim) {
	_ = c.begin(now) // nothing was begun before
	return c
}

func (c *sendClaim) equal(other sendClaim) bool {
	return c.Begun == other.Begun && c.Failed == other.Failed && c.At.Equal(other.At)
}

var errTriesUnsettled = errors.New("watchword: the send was tried twice without a known outcome")

// begin claims the next try.
func (c *sendClaim) begin(now time.Time) error {
	unsettled := c.Begun - c.Failed
	lease := c.At.Add(SendLease)
	switch {
	case unsettled > 0 && now.Before(lease):
		return &ClaimedError{lease}
	case now.Add(retrySlack).Before(c.RetryAt):
		return &ClaimedError{c.RetryAt}
	case unsettled >= maxUnsettledTries:
		return errTriesUnsettled
	}
	c.Begun++
	c.At = now.UTC().Truncate(time.Millisecond)
	return nil
}

// composeClaimed composes a message and claims its send. It reads the challenge again if it was changed meanwhile.
func (e *Engine) composeClaimed(ctx context.Context, o Outgoing) (Message, error) {
	rec := o.fresh
	var own *sendClaim // made when the message was queued
	if o.Direct && rec != nil {
		own = &rec.SendClaim
		if !e.isStale(rec) {
			m, err := e.composeRecord(ctx, o, rec)
			m.claimed = rec
			return m, err
		}
	}
	for range maxConflictRetries {
		if rec == nil || o.Attempt > 0 || e.isStale(rec) {
			var err error
			if rec, err = e.readForSend(ctx, o); err != nil {
				return Message{}, err
			}
		}
		claimed := *rec
		m, err := e.composeRecord(ctx, o, &claimed)
		if err != nil {
			return Message{}, err
		}
		err = e.claimSend(ctx, &claimed, own)
		if errors.Is(err, errTriesUnsettled) {
			return Message{}, e.recordUnsettled(ctx, o, claimed.Channel)
		}
		if !errors.Is(err, ErrConflict) {
			m.claimed = &claimed
			return m, err
		}
		rec = nil
	}
	return Message{}, unavailable(fmt.Errorf("a challenge kept changing: %w", ErrConflict))
}

// claimSend claims the next try of a record's send, by compare-and-set, or renews the claim that this process has made.
func (e *Engine) claimSend(ctx context.Context, rec *record, own *sendClaim) error {
	if own != nil && rec.SendClaim.equal(*own) {
		rec.SendClaim = sendClaim{Begun: own.Begun - 1, Failed: own.Failed}
	}
	if err := rec.SendClaim.begin(e.cfg.Clock()); err != nil {
		return err
	}
	err := e.update(ctx, rec)
	switch {
	case err == nil:
		rec.version++
		return nil
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return err
	}
	return unavailable(err)
}

// recordUnsettled reports a send as failed that was tried twice without a known outcome. ErrClosed: it is not tried again.
func (e *Engine) recordUnsettled(ctx context.Context, o Outgoing, channel string) error {
	if err := e.RecordDelivery(ctx, o, Delivery{Status: DeliveryFailed, Channel: channel}); err != nil {
		return err
	}
	return ErrClosed
}

// AllowRetry records that a try has failed, and that the next one may begin at the given time. The Outgoing is that of the composed
// message; see Outgoing.Composed. AllowRetry does nothing if the store is not the outbox.
func (e *Engine) AllowRetry(ctx context.Context, o Outgoing, at time.Time) error {
	if e.cfg.Outbox != nil || o.fresh == nil {
		return nil
	}
	claimed := o.fresh.SendClaim
	id, err := e.parse(o.ChallengeID)
	if err != nil {
		return ErrNotFound
	}
	edit := func(rec *record, _ Entry) error {
		if rec.Sends != o.Send || !rec.SendClaim.equal(claimed) {
			return ErrClosed
		}
		rec.SendClaim.Failed++
		rec.SendClaim.RetryAt = at.UTC().Truncate(time.Millisecond)
		return nil
	}
	err = e.recordFresh(ctx, o, edit)
	if errors.Is(err, ErrConflict) {
		err = e.updateRecord(ctx, id, edit)
	}
	if errors.Is(err, ErrClosed) {
		return nil // the claim was made by somebody else
	}
	return err
}
