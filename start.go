package watchword

import (
	"context"
	"errors"
	"time"
)

// A StartRequest asks for a new challenge.
type StartRequest struct {
	Strategy    string            // name of the strategy; required
	Purpose     string            // required; 1 to 40 of a-z, 0-9 and _
	Subject     string            // the app's opaque id of the person, up to 255 visible bytes; required by some strategies and for PurposeEnrol
	Channel     string            // required if messages are sent, unless the strategy has a default
	To          string            // address, as AddressPolicy accepts it; required if messages are sent
	Locale      string            // BCP 47 tag; may be empty
	ReturnURL   string            // of an origin in Config.ReturnOrigins, up to 2,048 bytes; may be empty
	Nonce       string            // up to 255 bytes; copied into the receipt
	Label       string            // of the factor to enrol; up to 255 visible bytes
	Factor      string            // id of the only factor that may answer; empty: any
	Transaction map[string]string // what the subject approves: up to 16 texts, names and values up to 255 visible bytes each
	Metadata    map[string]string // the app's own data, up to 16 texts like those of Transaction; copied into views and events
	Client      Client
	Decoy       bool      // take as long as a real challenge, send nothing and approve no answer
	Authority   Authority // for PurposeEnrol, if the subject has factors

	// DeviceToken is the token of a trusted device of the subject. If it is valid, the client counts as Client.Known, and
	// Started.DeviceToken replaces it. Another text changes nothing.
	DeviceToken Code

	// Seed, if set, determines the challenge's id. A second start with the same seed returns the first challenge, and no
	// message is sent twice.
	Seed []byte
	// Unanswered reports that an earlier start with this Seed was not answered, so that its message may not have been queued.
	// It is queued again unless it was sent.
	Unanswered bool

	verification *verificationRecord // that the challenge is part of; nil: none
}

// Started is a new challenge with the secrets that only its starter may see.
type Started struct {
	View
	Handle Code   // collects the receipt; see Engine.Redeem
	Ticket Code   // opens the hosted page; see Engine.OpenPage. Zero: there is no page, because ReturnURL is empty
	Public Public // Prompt.Public, such as the options of a passkey

	DeviceToken Code // replaces the valid StartRequest.DeviceToken; zero: none was given
}

// Start creates a challenge. It charges the shared limits, all of them or none, stores the entry and queues the message; a
// message may not have been sent when Start returns. If the start fails after that, the charges are refunded. Every refusal
// is an *Error.
func (e *Engine) Start(ctx context.Context, req StartRequest) (*Started, error) {
	if s := e.strategies[req.Strategy]; s != nil && req.Channel == "" && req.To != "" {
		req.Channel = s.Properties().Channel
	}
	strategy, address, err := e.validateStart(req)
	if err != nil {
		return nil, err
	}
	defer e.delayView(ctx, time.Now(), strategy, req.Purpose)
	device, err := e.presentDevice(ctx, req.Subject, req.DeviceToken)
	if err != nil {
		return nil, err
	}
	req.Client.Known = req.Client.Known || device != nil
	started, err := e.startChallenge(ctx, strategy, address, req)
	if started != nil && device != nil {
		started.DeviceToken = device.successor
	}
	return started, err
}

// startChallenge creates the challenge of a valid request.
func (e *Engine) startChallenge(ctx context.Context, strategy Strategy, address Address, req StartRequest) (*Started, error) {
	rec, err := e.newChallenge(req, strategy, address)
	if err != nil {
		return nil, err
	}
	c, id := &rec.Challenge, rec.id
	prompt, charges, existing, err := e.prepareStart(ctx, id, c, req, address)
	if existing != nil || errors.Is(err, ErrUnavailable) {
		e.refundStart(ctx, charges)
	}
	if existing != nil || err != nil {
		return existing, err
	}
	return e.storeChallenge(ctx, &preparedStart{rec: rec, prompt: prompt, charges: charges, address: address, unanswered: req.Unanswered})
}

// A preparedStart is a challenge that was charged to the limits and is not stored yet.
type preparedStart struct {
	rec        *record
	prompt     Prompt
	charges    limitCharges
	address    Address
	unanswered bool // StartRequest.Unanswered
}

// storeChallenge stores a prepared challenge and queues its message. If that fails, it refunds the charges.
func (e *Engine) storeChallenge(ctx context.Context, p *preparedStart) (*Started, error) {
	rec, prompt, charges := p.rec, p.prompt, p.charges
	c := &rec.Challenge
	c.Ask, c.Decoy = prompt.Ask, c.Decoy || prompt.Decoy
	if !c.Decoy && !prompt.Silent {
		c.prefix = p.address.Prefix
	}
	out := Outgoing{ChallengeID: c.ID, Send: c.Sends, Channel: c.Channel, Direct: c.Sends > 0 && e.reserveSend()}
	if out.Direct {
		rec.SendClaim = newSendClaim(e.cfg.Clock())
	}
	entry, err := e.newEntry(rec, prompt)
	if err != nil {
		e.unreserve(out)
		return nil, err
	}
	err = e.create(ctx, entry, rec, out)
	if err != nil {
		e.refundStart(ctx, charges)
	}
	if errors.Is(err, ErrExists) {
		return e.repeatStart(ctx, rec.id, p.unanswered)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	e.emit(ctx, EventStarted, c)
	e.watchExpiry(c)
	return e.started(rec, entry, prompt.Public), nil
}

// prepareStart asks the strategy for its prompt and charges the limits. It charges nothing for a challenge that cannot be
// asked. For an enrolment it charges first, because the proof of authority would otherwise be spent for nothing. It returns
// existing if an enrolment with the same seed exists.
func (e *Engine) prepareStart(ctx context.Context, id challengeID, c *Challenge, req StartRequest, to Address) (prompt Prompt, charges limitCharges, existing *Started, err error) {
	s := id.strategy
	c.Decoy = req.Decoy
	if req.Purpose != PurposeEnrol {
		if prompt, err = beginStrategy(ctx, s, c); err == nil {
			err = e.checkMessage(c, prompt)
		}
		if err == nil {
			charges, err = e.chargeStart(ctx, s.Properties(), req, to)
		}
		return prompt, charges, nil, err
	}
	if charges, err = e.chargeStart(ctx, s.Properties(), req, to); err != nil {
		return prompt, nil, nil, err
	}
	if existing, err = e.authorizeEnrolment(ctx, id, c, req); existing != nil || err != nil {
		return prompt, charges, existing, err
	}
	prompt, err = beginStrategy(ctx, s, c)
	return prompt, charges, nil, err
}

// authorizeEnrolment spends the proof that an enrolment needs. With a seed it first looks for the challenge of an earlier
// request, which has spent the proof already.
func (e *Engine) authorizeEnrolment(ctx context.Context, id challengeID, c *Challenge, req StartRequest) (existing *Started, err error) {
	if req.Seed != nil {
		if existing, err = e.repeatStart(ctx, id, req.Unanswered); err == nil || !errors.Is(err, ErrUnknownChallenge) {
			return existing, err
		}
	}
	set, err := e.env.factors.readSet(ctx, req.Subject, e.cfg.Clock())
	if err != nil {
		return nil, err
	}
	if err := checkFactorLimit(set.others("")); err != nil {
		return nil, err
	}
	authority, err := e.authorize(ctx, set, req.Authority)
	if err == nil && set.damaged() {
		authority.Generation, err = e.replaceDamagedSet(ctx, set)
	}
	c.enrolment = &authority
	return nil, err
}

// beginStrategy calls BeginEnrol for PurposeEnrol and Begin for other purposes.
func beginStrategy(ctx context.Context, s Strategy, c *Challenge) (Prompt, error) {
	if c.Purpose == PurposeEnrol {
		return s.(Enroller).BeginEnrol(ctx, c)
	}
	return s.Begin(ctx, c)
}

func (e *Engine) newChallenge(req StartRequest, s Strategy, to Address) (*record, error) {
	props := s.Properties()
	now := e.cfg.Clock().UTC().Truncate(time.Millisecond)
	id, salt, err := e.newChallengeID(req, s, to)
	if err != nil {
		return nil, err
	}
	rec := &record{id: id, version: 1, entryContent: entryContent{Salt: salt}}
	c := &rec.Challenge
	*c = Challenge{ID: id.text, Strategy: s.Name(), Purpose: req.Purpose, Subject: req.Subject, Channel: req.Channel,
		Address: to.Value, SentTo: to.Masked, Locale: req.Locale, ReturnURL: req.ReturnURL, Nonce: req.Nonce, Label: req.Label,
		Factor: req.Factor, Transaction: req.Transaction, Metadata: req.Metadata, Client: req.Client,
		CreatedAt: now, ExpiresAt: now.Add(e.lifetime(req, props, to)), LongLived: id.isLongLived(), env: e.env, salt: salt, key: e.keyring[0]}
	if v := req.verification; v != nil {
		c.Verification, c.Require = v.ID, v.Require
		if v.ExpiresAt.Before(c.ExpiresAt) {
			c.ExpiresAt = v.ExpiresAt
		}
	}
	if props.SendsMessages {
		c.Sends, c.SentAt, c.CodeSend = 1, now, 1
		c.Delivery = Delivery{Status: DeliveryQueued}
	}
	return rec, nil
}

// repeatStart returns the challenge of an earlier start with the same seed. It queues its message again only if that was not
// queued. The prompt is derived again.
func (e *Engine) repeatStart(ctx context.Context, id challengeID, unanswered bool) (*Started, error) {
	entry, rec, err := e.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if status, _ := e.status(rec, entry); status != Pending {
		return nil, closedError(status)
	}
	if rec.Purpose == PurposeEnrol && e.lacksPrerequisite(ctx, rec) {
		if _, err := e.Cancel(ctx, rec.ID); err != nil {
			return nil, err
		}
		return nil, ErrChallengeCanceled
	}
	if err := e.enqueueUnsent(ctx, rec, unanswered); err != nil {
		return nil, err
	}
	return e.showAgain(ctx, rec, entry)
}

// showAgain returns a challenge with what it asks for, which is derived again.
func (e *Engine) showAgain(ctx context.Context, rec *record, entry Entry) (*Started, error) {
	prompt, err := beginStrategy(ctx, rec.id.strategy, &rec.Challenge)
	if err != nil {
		return nil, err
	}
	return e.started(rec, entry, prompt.Public), nil
}

// enqueueUnsent queues a first message that its start failed to queue, or may have failed to queue. It does nothing if
// another start has queued it.
func (e *Engine) enqueueUnsent(ctx context.Context, rec *record, unanswered bool) error {
	if rec.Sends != 1 || e.cfg.Outbox == nil {
		return nil
	}
	if rec.Delivery.Status == DeliveryQueued && unanswered {
		if err := e.cfg.Outbox.Put(ctx, Outgoing{ChallengeID: rec.ID, Send: rec.Sends, Channel: rec.Channel}); err != nil {
			return unavailable(err)
		}
		return nil
	}
	if rec.Delivery.Status != DeliveryFailed {
		return nil
	}
	rec.Delivery, rec.SentAt = Delivery{Status: DeliveryQueued}, e.cfg.Clock().UTC().Truncate(time.Millisecond)
	err := e.update(ctx, rec)
	if errors.Is(err, ErrConflict) {
		return nil // another request has queued it
	}
	if err == nil {
		rec.version++
		err = e.enqueue(ctx, Outgoing{ChallengeID: rec.ID, Send: rec.Sends, Channel: rec.Channel}, rec)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

func (e *Engine) started(rec *record, entry Entry, public map[string]any) *Started {
	out := &Started{View: e.view(rec, entry), Handle: rec.handle(), Public: public}
	if e.hasPage(rec) {
		out.Ticket = rec.ticket()
	}
	return out
}
