package watchword

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// sealed is everything an entry hides. Digests, expiry, purpose and version stand in the open too, in the entry or its
// id: what is believed are these.
type sealed struct {
	Challenge
	Version   int64 // of the entry: an older seal does not pass for a newer one
	Salt      []byte
	Digests   [][]byte
	Collected bool    // the receipt was given out by Redeem
	Redeemed  bool    // and then redeemed itself
	Approved  bool    // a judged answer has won; the mark says so too, but a store could drop it
	Claims    *Claims // of a judged answer whose receipt waits; for digests they are built when collected
}

func (s *sealed) fields(f *codec) {
	f.number64(&s.Version)
	s.Challenge.fields(f)
	f.bytes(&s.Salt)
	f.list(&s.Digests)
	f.flag(&s.Collected)
	f.flag(&s.Redeemed)
	f.flag(&s.Approved)
	waits := s.Claims != nil
	if f.flag(&waits); !waits {
		return
	}
	if s.Claims == nil {
		s.Claims = &Claims{}
	}
	s.Claims.fields(f)
}

// fields lists what is kept of a judged answer's claims until they are collected.
func (c *Claims) fields(f *codec) {
	for _, text := range []*string{&c.Issuer, &c.Audience, &c.Subject, &c.ID, &c.Purpose, &c.Strategy, &c.Channel, &c.SentTo, &c.AddressHash, &c.Factor, &c.Nonce} {
		f.text(text)
	}
	for _, seconds := range []*int64{&c.IssuedAt, &c.ExpiresAt, &c.AuthTime} {
		f.number64(seconds)
	}
	f.words(&c.AMR)
	f.texts(&c.Transaction)
	f.document(c.Extra != nil, &c.Extra)
}

// record is an opened entry.
type record struct {
	sealed
	ident   ident
	sealer  *sealer
	version int64
	state   State
}

// read gets an entry and opens it.
func (e *Engine) read(ctx context.Context, i ident) (Entry, *record, error) {
	entry, err := e.cfg.Store.Get(ctx, i.ref)
	if errors.Is(err, ErrNotFound) {
		return Entry{}, nil, ErrUnknownChallenge
	}
	if err != nil {
		return Entry{}, nil, unavailable(err)
	}
	rec, err := e.open(ctx, i, entry)
	return entry, rec, err
}

// open unseals an entry. One that does not open was tampered with, or its key has left the ring: it is unknown.
func (e *Engine) open(ctx context.Context, i ident, entry Entry) (*record, error) {
	plain, sealer, err := e.ring.open(i.id, entry.Sealed)
	rec := &record{ident: i, sealer: sealer, version: entry.Version, state: entry.State}
	if err == nil {
		err = decode(plain, rec.fields)
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

// seal is what an entry keeps of the record as its given version, under the key that made it.
func (r *record) seal(version int64) ([]byte, error) {
	r.Version = version
	plain, err := encoded(r.fields)
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

// update writes the record back by compare-and-set: ErrConflict if somebody else was first.
func (e *Engine) update(ctx context.Context, r *record, out ...Outgoing) error {
	data, err := r.seal(r.version + 1)
	if err != nil {
		return err
	}
	return e.cfg.Store.Update(ctx, Entry{ID: r.ident.ref, Version: r.version, State: r.state, Sealed: data, Digests: r.Digests}, out...)
}

// handle is the starter's own secret of the challenge.
func (r *record) handle() Code { return r.secret("hd_", "handle") }

// ticket opens the challenge's hosted page.
func (r *record) ticket() Code { return r.secret("pt_", "ticket") }

func (r *record) secret(prefix, use string) Code {
	sum := r.key.handles.sum(use, r.ID, string(r.salt))
	return NewCode(prefix + b64.EncodeToString(sum[:]))
}

// A mark is the engine's own word in a store's entry that an answer was right: what becomes of the receipt (waits for
// Redeem, or was given out by Check), the time in milliseconds, and
//
//	HMAC(key of the app, id | what | time | digest)
//
// A store can repeat a mark it has seen but not make one; and it only counts with a digest that the seal holds.
const (
	markWaiting   = 'w'
	markCollected = 'c'
	markHead      = 1 + 8
	markSize      = markHead + 32
)

func (k *ringKey) mark(id string, what byte, at time.Time, digest []byte) []byte {
	mark := append(make([]byte, 0, markSize), what)
	mark = binary.BigEndian.AppendUint64(mark, uint64(at.UnixMilli()))
	sum := k.marks.sum(id, string(mark), string(digest))
	return append(mark, sum[:]...)
}

// won reports whether a mark proves that the challenge was answered in time, when, and whether its receipt waits.
func (r *record) won(mark []byte) (at time.Time, waits, ok bool) {
	if len(mark) != markSize || r.Decoy {
		return time.Time{}, false, false
	}
	at = time.UnixMilli(int64(binary.BigEndian.Uint64(mark[1:markHead]))).UTC()
	if at.After(r.ExpiresAt) {
		return at, false, false
	}
	digests := r.Digests
	if len(digests) == 0 {
		digests = [][]byte{nil}
	}
	for _, d := range digests {
		if sum := r.key.marks.sum(r.ID, string(mark[:markHead]), string(d)); hmac.Equal(mark[markHead:], sum[:]) {
			return at, mark[0] == markWaiting, true
		}
	}
	return at, false, false
}

// A View is what may be shown of a challenge: it holds no secret and no full address.
type View struct {
	ID          string
	Status      Status
	Strategy    string
	Channel     string
	Purpose     string
	Subject     string
	SentTo      string
	Ask         Ask
	Locale      string
	ReturnURL   string
	Transaction map[string]string
	Metadata    map[string]string
	Client      Client
	CreatedAt   time.Time
	ExpiresAt   time.Time
	TriesLeft   int
	Sends       bool // something is sent: the next three hold
	SendsLeft   int
	ResendAt    time.Time // no resend before
	Delivery    Delivery
}

func (e *Engine) view(r *record, entry Entry) View {
	status, _, _ := e.status(r, entry)
	v := View{ID: r.ID, Status: status, Strategy: r.Strategy, Channel: r.Channel, Purpose: r.Purpose, Subject: r.Subject,
		SentTo: r.SentTo, Ask: r.Ask, Locale: r.Locale, ReturnURL: r.ReturnURL, Transaction: r.Transaction, Metadata: r.Metadata,
		Client: r.Client, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, TriesLeft: max(entry.Tries, 0)}
	if r.Sends > 0 {
		v.Sends, v.SendsLeft, v.Delivery = true, max(e.cfg.Sends-r.Sends, 0), r.Delivery
		v.ResendAt = e.resendAt(&r.Challenge)
	}
	return v
}

// judging is how long a judged answer may take after its try was charged; a challenge whose last try is older is locked
// even if the node that judged it never said so.
const judging = 30 * time.Second

// status is what became of a challenge, when it was won, and whether its receipt waits. The store is believed where it
// only refuses; that something was approved is believed with a valid mark alone.
func (e *Engine) status(r *record, entry Entry) (s Status, at time.Time, waits bool) {
	switch entry.State {
	case StateApproved:
		at, waits, ok := r.won(entry.Mark)
		if !ok {
			e.log.Error("a challenge reads approved without a valid mark", "challenge", r.ID)
			return Locked, at, false
		}
		return Approved, at, waits && !r.Collected
	case StateLocked:
		return Locked, at, false
	case StateCanceled:
		return Canceled, at, false
	}
	now := e.cfg.Clock()
	if before, ok := e.closed.find(r.ident.rand); ok {
		return before, at, false
	}
	switch {
	case !now.Before(r.ExpiresAt):
		return Expired, at, false
	case entry.Tries <= 0 && (len(r.Digests) > 0 || now.Sub(entry.LastTry) > judging):
		return Locked, at, false
	}
	return Pending, at, false
}

// closedError is what a caller is told who comes too late.
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
