package watchword

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// StartVerification creates a verification that offers those of the requested methods that the subject can use and that meet the
// requirement, and opens one as the request says. The errors are those of Start; ErrNotEnrolled if no method is left.
func (e *Engine) StartVerification(ctx context.Context, req VerificationRequest) (*StartedVerification, error) {
	methods, err := e.validateVerification(req)
	if err != nil {
		return nil, err
	}
	defer e.delayVerification(ctx, time.Now(), methods)
	device, err := e.presentDevice(ctx, req.Subject, req.DeviceToken)
	if err != nil {
		return nil, err
	}
	req.Client.Known = req.Client.Known || device != nil
	v, err := e.newVerification(req)
	if err != nil {
		return nil, err
	}
	if device != nil && e.isAnsweredByDevice(req) {
		return e.startByDevice(ctx, device, v, req)
	}
	started, err := e.startByMethods(ctx, v, req, methods)
	if started != nil && device != nil {
		started.DeviceToken = device.successor
	}
	return started, err
}

// startByMethods offers the methods that the subject can use, opens the first one if the request says so, and stores the verification.
func (e *Engine) startByMethods(ctx context.Context, v *verificationRecord, req VerificationRequest, methods []verificationMethod) (started *StartedVerification, err error) {
	if v.Methods, err = e.offeredMethods(ctx, req, methods); err != nil {
		return nil, err
	}
	v.setFallback(req)
	p, err := e.prepareFirst(ctx, v, req)
	if err == nil && p == nil { // the limits count methods when they are opened; this one bounds the entries of those that open none
		err = e.chargeCheck(ctx, req.Client)
	}
	if err != nil {
		return nil, err
	}
	if err := e.createVerification(ctx, v); err != nil {
		if p != nil {
			e.refundStart(ctx, p.charges)
		}
		if errors.Is(err, ErrExists) {
			return e.repeatVerification(ctx, v.id, req.Unanswered)
		}
		return nil, unavailable(err)
	}
	e.emitVerification(ctx, EventVerificationStarted, v)
	e.watchVerificationExpiry(v)
	var first *Started
	if p != nil {
		if first, err = e.storeChallenge(ctx, p); err != nil {
			return nil, err
		}
	}
	return e.startedVerification(v, first), nil
}

// delayVerification delays a start or an opening, if a method's strategy has decoys.
func (e *Engine) delayVerification(ctx context.Context, began time.Time, methods []verificationMethod) {
	for _, m := range methods {
		if _, isDecoyMaker := e.strategies[m.Strategy].(DecoyMaker); isDecoyMaker {
			e.delayUntil(ctx, began, minViewTime)
			return
		}
	}
}

func (e *Engine) newVerification(req VerificationRequest) (*verificationRecord, error) {
	id, salt, err := e.newVerificationID(req.Seed)
	if err != nil {
		return nil, err
	}
	now := e.cfg.Clock().UTC().Truncate(time.Millisecond)
	orDefault(&req.Require, RequireAny)
	return &verificationRecord{id: id, key: e.keyring[0], verificationContent: verificationContent{ID: id.text, Salt: salt, Purpose: req.Purpose,
		Subject: req.Subject, Require: req.Require, Locale: req.Locale, ReturnURL: req.ReturnURL, Nonce: req.Nonce, Transaction: req.Transaction,
		Metadata: req.Metadata, Client: req.Client, CreatedAt: now, ExpiresAt: now.Add(verificationLifetime), Decoy: req.Decoy, Remember: req.RememberDevice}}, nil
}

// setFallback sets the fallback to the method that the request marks, if it is offered, and the address of a verification without
// a subject.
func (v *verificationRecord) setFallback(req VerificationRequest) {
	for i, m := range req.Methods {
		if id := "m" + strconv.Itoa(i+1); m.Fallback && v.method(id) != nil {
			v.Fallback = fallback{After: req.Fallback, Method: id}
		}
	}
	if v.Subject == "" {
		v.Address = v.Methods[0].Address
	}
}

// prepareFirst prepares the challenge of the method that is opened at the start; nil if none is. A method for which the strategy
// finds no usable factor after all is not offered.
func (e *Engine) prepareFirst(ctx context.Context, v *verificationRecord, req VerificationRequest) (*preparedStart, error) {
	for len(v.Methods) > 0 {
		m := &v.Methods[0]
		sends := e.strategies[m.Strategy].Properties().SendsMessages
		if req.Open == OpenNone || req.Open != OpenFirst && sends && len(v.Methods) > 1 {
			return nil, nil
		}
		p, err := e.prepareMethod(ctx, v, m)
		if err == nil {
			p.unanswered = req.Unanswered
			v.markOpened(m, p)
			return p, nil
		}
		if !errors.Is(err, ErrNotEnrolled) {
			return nil, err
		}
		v.Methods = v.Methods[1:]
	}
	return nil, ErrNotEnrolled
}

// prepareMethod prepares the challenge of a method and charges the limits. The challenge's id follows from those of the
// verification and the method, so that of two that open it at the same time one stores it. It follows from the salt too: if the store
// loses a verification and its start is repeated, the new one has the same id, and none of the old one's challenges.
func (e *Engine) prepareMethod(ctx context.Context, v *verificationRecord, m *verificationMethod) (*preparedStart, error) {
	s := e.strategies[m.Strategy]
	if s == nil || !v.Require.canBeMet(s.Properties()) { // by another configuration than that of the start
		return nil, ErrUnknownMethod
	}
	seed := e.identity.tags.sum("method", v.ID, string(v.Salt), m.ID, strconv.Itoa(m.Opened))
	req := StartRequest{Strategy: m.Strategy, Purpose: v.Purpose, Subject: v.Subject, Channel: m.Channel, To: m.Address, Locale: v.Locale, ReturnURL: v.ReturnURL,
		Nonce: v.Nonce, Factor: m.Factor, Transaction: v.Transaction, Metadata: v.Metadata, Client: v.Client, Decoy: v.Decoy, Seed: seed[:], verification: v}
	var to Address
	var err error
	if s.Properties().SendsMessages {
		if to, err = e.addressOf(req.Channel, req.To); err != nil {
			return nil, err
		}
	}
	rec, err := e.newChallenge(req, s, to)
	if err != nil {
		return nil, err
	}
	c := &rec.Challenge
	c.Decoy = req.Decoy
	if m.ID != v.Fallback.Method && !v.Fallback.Ended {
		c.fallbackAfter = v.Fallback.After
	}
	p := &preparedStart{rec: rec, address: to}
	if p.prompt, err = s.Begin(ctx, c); err == nil {
		err = e.checkMessage(c, p.prompt)
	}
	if err == nil && p.prompt.Decoy && !v.Decoy {
		err = ErrNotEnrolled // its factors are those of another configuration
	}
	if err != nil {
		return nil, err
	}
	p.charges, err = e.chargeStart(ctx, s.Properties(), req, to)
	return p, err
}

// markOpened records that the prepared challenge is the method's.
func (v *verificationRecord) markOpened(m *verificationMethod, p *preparedStart) {
	m.Challenge, m.OpenedAt, m.Ended = p.rec.ID, p.rec.CreatedAt, ""
	m.Opened++
	v.Current = m.ID
}

// repeatVerification returns the verification of an earlier start with the same seed.
func (e *Engine) repeatVerification(ctx context.Context, id challengeID, unanswered bool) (*StartedVerification, error) {
	v, err := e.readVerification(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := closedError(e.verificationStatus(v)); err != nil {
		return nil, err
	}
	if v.Current == "" {
		return e.startedVerification(v, nil), nil
	}
	v, current, err := e.openMethod(ctx, v, v.Current, openRequest{repeats: true, unanswered: unanswered})
	if err != nil {
		return nil, err
	}
	return e.startedVerification(v, current), nil
}

func (e *Engine) startedVerification(v *verificationRecord, current *Started) *StartedVerification {
	out := &StartedVerification{VerificationView: e.verificationView(v, current), Handle: v.handle()}
	if e.hasVerificationPage(v) {
		out.Ticket = v.ticket()
	}
	return out
}
