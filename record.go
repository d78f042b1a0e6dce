package watchword

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// entryContent is the encrypted content of an entry. Digests, expiry, purpose and version are also stored in clear, in the
// entry or its id; the encrypted ones count.
type sealed struct {
	Challenge
	Version   int64 // of the entry, so that older content does not pass for newer
	Salt      []byte
	Digests   [][]byte
	Collected bool    // the receipt was returned by Redeem
	Redeemed  bool    // the receipt was spent by RedeemReceipt
	Approved  bool    // a Verifier's answer was approved; a store could drop the mark
	Claims    *Claims // of a Verifier's answer; for a Matcher they are built when they are collected
	FactorOf  string  // challenge that enrolled the factor that answered

	// The requests that collected, redeemed and resent, and the time of the collection: a repetition gets the same receipt.
	CollectedBy attemptID
	CollectedAt time.Time
	RedeemedBy  attemptID
	ResentBy    attemptID // the last resend
}

func (s *sealed) fields(f *codec.Codec) {
	f.Number64(&s.Version)
	s.Challenge.fields(f)
	f.Bytes(&s.Salt)
	f.List(&s.Digests)
	f.Flag(&s.Collected)
	f.Flag(&s.Redeemed)
	f.Flag(&s.Approved)
	f.Text(&s.FactorOf)
	s.CollectedBy.field(f)
	f.Moment(&s.CollectedAt)
	s.RedeemedBy.field(f)
	s.ResentBy.field(f)
	codec.Optional(f, &s.Claims, (*Claims).fields)
	f.Text(&s.prefix)
}

// A requestID names one request: a random id of the process and a counter or, if the caller gave a seed, a digest of the
// seed. With a seed, the repetition of a request whose response was lost has the same id. It is no secret.
type attemptID [attemptSize]byte

const attemptSize = 16

func (a *attemptID) field(f *codec.Codec) {
	var text []byte
	if *a != (attemptID{}) {
		text = a[:]
	}
	f.Bytes(&text)
	copy(a[:], text)
}

// newRequestID returns the id of a request.
func (e *Engine) newAttempt(seed []byte) (a attemptID) {
	if seed != nil {
		sum := e.identity.tags.sum("attempt", e.cfg.App, string(seed))
		return attemptID(sum[:])
	}
	copy(a[:], e.process[:])
	binary.BigEndian.PutUint64(a[len(e.process):], e.attempts.Add(1))
	return a
}

// fields lists the encrypted fields of the claims.
func (c *Claims) fields(f *codec.Codec) {
	for _, text := range []*string{&c.Issuer, &c.Audience, &c.Subject, &c.ID, &c.Purpose, &c.Strategy, &c.Channel, &c.SentTo, &c.AddressHash, &c.Factor, &c.Nonce} {
		f.Text(text)
	}
	for _, seconds := range []*int64{&c.IssuedAt, &c.ExpiresAt, &c.AuthTime} {
		f.Number64(seconds)
	}
	f.Words(&c.AMR)
	f.Texts(&c.Transaction)
	if !f.Reading() && c.extra != nil {
		f.Bytes(&c.extra)
		return
	}
	f.Document(c.Extra != nil, &c.Extra)
}

// record is a decrypted entry.
type record struct {
	sealed
	id      challengeID
	sealer  *sealer
	version int64
	state   State
}

// read gets an entry and decrypts it. The error is ErrUnknownChallenge or ErrUnavailable.
func (e *Engine) read(ctx context.Context, i challengeID) (Entry, *record, error) {
	entry, err := e.cfg.Store.Get(ctx, i.ref)
	if errors.Is(err, ErrNotFound) {
		return Entry{}, nil, ErrUnknownChallenge
	}
	if err != nil {
		return Entry{}, nil, unavailable(err)
	}
	rec, err := e.open(ctx, i, entry)
	if err != nil {
		return entry, nil, err
	}
	if now := e.lockIdle(ctx, rec, entry); now.State != entry.State {
		entry = now
		if rec.version != now.Version { // closed with other content
			rec, err = e.open(ctx, i, now)
		} else {
			rec.state = now.State
		}
	}
	return entry, rec, err
}

// open decrypts an entry. An entry that was tampered with, or whose key is not in the keyring, is ErrUnknownChallenge.
func (e *Engine) open(ctx context.Context, i challengeID, entry Entry) (*record, error) {
	plain, sealer, err := e.keyring.open(i.id, entry.Sealed)
	rec := &record{id: i, sealer: sealer, version: entry.Version, state: entry.State}
	if err == nil {
		err = codec.Decode(plain, rec.fields)
	}
	if err == nil && rec.Version != entry.Version {
		err = fmt.Errorf("version %d is sealed as %d: %w", entry.Version, rec.Version, errSeal)
	}
	if err != nil {
		e.log.ErrorContext(ctx, "a challenge's seal does not open", "challenge", i.id, "error", err)
		return nil, ErrUnknownChallenge
	}
	rec.ID, rec.env, rec.key, rec.salt = i.id, e.env, sealer.key, rec.Salt
	return rec, nil
}

// seal encrypts the record as the given version, under the key that encrypted it before.
func (r *record) seal(version int64) ([]byte, error) {
	r.Version = version
	plain, err := codec.Encode(r.fields)
	if err != nil {
		return nil, err
	}
	if r.sealer == nil {
		if r.sealer, err = r.key.sealer(r.ID); err != nil {
			return nil, err
		}
	}
	return r.sealer.seal(plain), nil
}

// update writes the record by compare-and-set: ErrConflict if it was changed since it was read.
func (e *Engine) update(ctx context.Context, r *record, out ...Outgoing) error {
	data, err := r.seal(r.version + 1)
	if err != nil {
		return err
	}
	return e.cfg.Store.Update(ctx, Entry{ID: r.id.ref, Version: r.version, State: r.state, Sealed: data, Digests: r.Digests}, out...)
}

// handle returns the secret with which the starter collects the receipt.
func (r *record) handle() Code { return r.secret("hd_", "handle") }

// ticket returns the secret that opens the challenge's hosted page.
func (r *record) ticket() Code { return r.secret("pt_", "ticket") }

func (r *record) secret(prefix, use string) Code {
	sum := r.key.handles.sum(use, r.ID, string(r.salt))
	return NewCode(prefix + b64.EncodeToString(sum[:]))
}

// A mark is the engine's proof in a store's entry that an answer was right. It holds whether Check returned the receipt or
// Redeem has to collect it, the time in milliseconds, the request, and
//
//	HMAC(key of the app, id | receipt | time | request | digest)
//
// A store can repeat a mark but not make one. A mark counts only with a digest of the encrypted content.
const (
	markWaiting   = 'w'
	markCollected = 'c'
	markHead      = 1 + 8 + attemptSize
	markSize      = markHead + 32
)

func (k *ringKey) mark(id string, a *attempt, at time.Time, digest []byte) []byte {
	mark := append(make([]byte, 0, markSize), a.mark)
	mark = binary.BigEndian.AppendUint64(mark, uint64(at.UnixMilli()))
	mark = append(mark, a.id[:]...)
	sum := k.marks.sum(id, string(mark), string(digest))
	return append(mark, sum[:]...)
}

// An approval is the content of a valid mark.
type approval struct {
	at    time.Time
	waits bool // the receipt was left to Redeem
	by    attemptID
}

// readMark decodes a mark, and reports whether it proves that the challenge was answered in time.
func (r *record) won(mark []byte) (won approval, ok bool) {
	if len(mark) != markSize || r.Decoy {
		return approval{}, false
	}
	won = approval{at: time.UnixMilli(int64(binary.BigEndian.Uint64(mark[1:]))).UTC(), waits: mark[0] == markWaiting,
		by: attemptID(mark[markHead-attemptSize:])}
	if won.at.After(r.ExpiresAt) {
		return won, false
	}
	digests := r.Digests
	if len(digests) == 0 {
		digests = [][]byte{nil}
	}
	for _, d := range digests {
		if sum := r.key.marks.sum(r.ID, string(mark[:markHead]), string(d)); hmac.Equal(mark[markHead:], sum[:]) {
			return won, true
		}
	}
	return won, false
}

// A View is the public state of a challenge. It contains no secret and no full address.
type View struct {
	ID          string
	Status      Status
	Strategy    string
	Channel     string
	Purpose     string
	Subject     string
	SentTo      string // masked address; empty if nothing is sent
	Ask         Ask
	Locale      string
	ReturnURL   string
	Transaction map[string]string
	Metadata    map[string]string
	Client      Client
	CreatedAt   time.Time
	ExpiresAt   time.Time
	TriesLeft   int       // tries left
	Sends       bool      // messages are sent; SendsLeft, ResendAt and Delivery are set
	SendsLeft   int       // messages left
	ResendAt    time.Time // earliest time of a resend
	Delivery    Delivery
}

func (e *Engine) view(r *record, entry Entry) View {
	status, _ := e.status(r, entry)
	v := View{ID: r.ID, Status: status, Strategy: r.Strategy, Channel: r.Channel, Purpose: r.Purpose, Subject: r.Subject,
		SentTo: r.SentTo, Ask: r.Ask, Locale: r.Locale, ReturnURL: r.ReturnURL, Transaction: r.Transaction, Metadata: r.Metadata,
		Client: r.Client, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, TriesLeft: max(entry.Tries, 0)}
	if r.Sends > 0 {
		v.Sends, v.SendsLeft, v.Delivery = true, max(e.cfg.Sends-r.Sends, 0), r.Delivery
		v.ResendAt = codec.ClampTime(e.resendAt(&r.Challenge))
	}
	return v
}

// tryTimeout is the longest time from charging a try to its approval. The store refuses a later approval. A challenge without
// tries left is locked after that time, even if the node that evaluated the last try never recorded a result.
const tryTime = 10 * time.Second

// status returns the state of a challenge and, if it was approved, the approval. An approval needs a valid mark; every other
// state is taken from the store.
func (e *Engine) status(r *record, entry Entry) (Status, approval) {
	switch entry.State {
	case StateApproved:
		won, ok := r.won(entry.Mark)
		if !ok {
			e.log.Error("a challenge reads approved without a valid mark", "challenge", r.ID)
			return Locked, approval{}
		}
		return Approved, won
	case StateLocked:
		return Locked, approval{}
	case StateCanceled:
		return Canceled, approval{}
	}
	if before, ok := e.tombstones.Find(r.id.rand, endChallenge); ok {
		return before, approval{}
	}
	switch {
	case !e.cfg.Clock().Before(r.ExpiresAt):
		return Expired, approval{}
	case entry.Tries <= 0 && len(r.Digests) > 0:
		return Locked, approval{}
	}
	return Pending, approval{}
}

// lockUnsettled locks a challenge without tries left whose last try was never settled, after tryTimeout. It returns the entry
// as it is then.
func (e *Engine) lockIdle(ctx context.Context, rec *record, entry Entry) Entry {
	if entry.State != StatePending || entry.Tries > 0 || len(rec.Digests) > 0 || e.cfg.Clock().Sub(entry.LastTry) < tryTime {
		return entry
	}
	switch err := e.cfg.Store.Close(ctx, rec.id.ref, Closing{State: StateLocked, Idle: tryTime}); {
	case err == nil:
		entry.State = StateLocked
		e.recordLocked(ctx, rec.id, &rec.Challenge)
	case errors.Is(err, ErrClosed):
		if now, err := e.cfg.Store.Get(ctx, rec.id.ref); err == nil {
			return now
		}
	}
	return entry
}

// closedError returns the error for a challenge that has ended; nil if it is pending.
func closedError(s Status) error {
	switch s {
	case Approved:
		return ErrChallengeApproved
	case Canceled:
		return ErrChallengeCanceled
	case Locked:
		return ErrAttemptsExhausted
	case Expired:
		return ErrChallengeExpired
	}
	return nil
}
