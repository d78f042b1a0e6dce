package watchword

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// entryContent is the encrypted content of an entry. Digests, expiry, purpose and version are also stored in clear, in the
// entry or its id; the encrypted ones count.
type entryContent struct {
	Challenge
	Version          int64 // of the entry, so that older content does not pass for newer
	Salt             []byte
	Digests          [][]byte
	Collected        bool    // the receipt was returned by Redeem
	Redeemed         bool    // the receipt was spent by RedeemReceipt
	Approved         bool    // a Verifier's answer was approved; a store could drop the mark
	Claims           *Claims // of a Verifier's answer; for a Matcher they are built when they are collected
	FactorEnrolledBy string  // challenge that enrolled the factor that answered

	// The requests that collected, redeemed and resent, and the time of the collection: a repetition gets the same receipt.
	CollectedBy requestID
	CollectedAt time.Time
	RedeemedBy  requestID
	ResentBy    requestID // the last resend

	SendClaim sendClaim // of the current send
	Failover  failover  // of the current send

	FallbackDueAt time.Time // when the silence of the sender of the current send opens another method; zero: it does not

	Page           pageBinding
	DeliveryEvents []deliveryEvent // the last ones, oldest first
}

func (s *entryContent) fields(f *codec.Codec) {
	f.Number64(&s.Version)
	s.Challenge.fields(f)
	f.Bytes(&s.Salt)
	f.List(&s.Digests)
	f.Flag(&s.Collected)
	f.Flag(&s.Redeemed)
	f.Flag(&s.Approved)
	f.Text(&s.FactorEnrolledBy)
	s.CollectedBy.field(f)
	f.Moment(&s.CollectedAt)
	s.RedeemedBy.field(f)
	s.ResentBy.field(f)
	codec.Optional(f, &s.Claims, (*Claims).fields)
	f.Text(&s.prefix)
	s.SendClaim.fields(f)
	s.Failover.fields(f)
	f.Text(&s.Delivery.Sender)
	f.Words(&s.Delivery.Tried)
	f.Moment(&s.FallbackDueAt)
	s.Page.fields(f)
	codec.Each(f, &s.DeliveryEvents, func(f *codec.Codec, d *deliveryEvent) { d.fields(f) })
}

// A requestID names one request: a random id of the process and a counter or, if the caller gave a seed, a digest of the
// seed. With a seed, the repetition of a request whose response was lost has the same id. It is no secret.
type requestID [requestIDSize]byte

const requestIDSize = 16

func (r *requestID) field(f *codec.Codec) {
	var text []byte
	if *r != (requestID{}) {
		text = r[:]
	}
	f.Bytes(&text)
	copy(r[:], text)
}

// newRequestID returns the id of a request.
func (e *Engine) newRequestID(seed []byte) (id requestID) {
	if seed != nil {
		sum := e.identity.tags.sum("attempt", e.cfg.App, string(seed))
		return requestID(sum[:])
	}
	copy(id[:], e.processID[:])
	binary.BigEndian.PutUint64(id[len(e.processID):], e.requests.Add(1))
	return id
}

// record is a decrypted entry.
type record struct {
	entryContent
	id      challengeID
	sealer  *sealer
	version int64
	state   State

	subjectRemoved bool      // after a link that lives long was started
	ofVerification *approval // by the verification that the challenge is part of, which is approved before the challenge is closed; nil: none
}

// newEntry returns the entry of a new challenge.
func (e *Engine) newEntry(rec *record, p Prompt) (entry Entry, err error) {
	if rec.Digests, err = e.acceptedDigests(&rec.Challenge, p); err != nil {
		return Entry{}, err
	}
	entry = Entry{ID: rec.id.storeID, Tries: e.tries(rec.id.strategy.Properties()), Version: 1, Digests: rec.Digests,
		ExpiresAt: rec.ExpiresAt, KeepUntil: rec.keepUntil()}
	entry.Sealed, err = rec.seal(1)
	return entry, err
}

// keepUntil returns when the store may forget the challenge: after the verification that it is part of.
func (c *Challenge) keepUntil() time.Time {
	if c.Verification != "" {
		return c.CreatedAt.Add(verificationLifetime + keepAfterExpiry)
	}
	return c.ExpiresAt.Add(keepAfterExpiry)
}

// acceptedDigests returns the digests of the right answers; for a decoy as many random ones.
func (e *Engine) acceptedDigests(c *Challenge, p Prompt) ([][]byte, error) {
	digests := make([][]byte, len(p.Accepts))
	for i, answer := range p.Accepts {
		if c.Decoy {
			randomDigest, err := e.random(sha256.Size)
			if err != nil {
				return nil, err
			}
			digests[i] = randomDigest
			continue
		}
		sum := c.key.digest(c.ID, c.Purpose, respondentOf(c.Subject, c.Address), answer.Reveal())
		digests[i] = sum[:]
	}
	return digests, nil
}

// read gets an entry and decrypts it. The error is ErrUnknownChallenge or ErrUnavailable.
func (e *Engine) read(ctx context.Context, id challengeID) (Entry, *record, error) {
	entry, err := e.cfg.Store.Get(ctx, id.storeID)
	if errors.Is(err, ErrNotFound) {
		return Entry{}, nil, ErrUnknownChallenge
	}
	if err != nil {
		return Entry{}, nil, unavailable(err)
	}
	rec, err := e.open(ctx, id, entry)
	if err != nil {
		return entry, nil, err
	}
	if err := e.endIfRemoved(ctx, rec, &entry); err != nil {
		return entry, nil, err
	}
	if err := e.followVerification(ctx, rec, entry); err != nil {
		return entry, nil, err
	}
	if rec.ofVerification != nil {
		return entry, rec, nil
	}
	if current := e.lockUnsettled(ctx, rec, entry); current.State != entry.State {
		entry = current
		if rec.version != current.Version { // closed with other content
			rec, err = e.open(ctx, id, current)
		} else {
			rec.state = current.State
		}
	}
	return entry, rec, err
}

// open decrypts an entry. An entry that was tampered with, or whose key is not in the keyring, is ErrUnknownChallenge.
func (e *Engine) open(ctx context.Context, id challengeID, entry Entry) (*record, error) {
	plain, sealer, err := e.keyring.open(id.text, entry.Sealed)
	rec := &record{id: id, sealer: sealer, version: entry.Version, state: entry.State}
	if err == nil {
		err = codec.Decode(plain, rec.fields)
	}
	if err == nil && rec.Version != entry.Version {
		err = fmt.Errorf("version %d is sealed as %d: %w", entry.Version, rec.Version, errSeal)
	}
	if err != nil {
		e.log.ErrorContext(ctx, "a challenge's seal does not open", "challenge", id.text, "error", err)
		return nil, ErrUnknownChallenge
	}
	rec.ID, rec.env, rec.key, rec.salt = id.text, e.env, sealer.key, rec.Salt
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
	entry, err := r.updatedEntry()
	if err != nil {
		return err
	}
	return e.cfg.Store.Update(ctx, entry, out...)
}

// updatedEntry returns the entry with which Store.Update writes the record.
func (r *record) updatedEntry() (Entry, error) {
	data, err := r.seal(r.version + 1)
	return Entry{ID: r.id.storeID, Version: r.version, State: r.state, Sealed: data, Digests: r.Digests}, err
}

// maxConflictRetries bounds how often a record or factor is read again because it was changed meanwhile.
const maxConflictRetries = 8

// updateRecord reads a record, calls edit and writes the record by compare-and-set. It starts again if the record was changed
// meanwhile. An error of edit is returned and nothing is written.
func (e *Engine) updateRecord(ctx context.Context, id challengeID, edit func(*record, Entry) error, out ...Outgoing) error {
	for range maxConflictRetries {
		entry, rec, err := e.read(ctx, id)
		if err != nil {
			return err
		}
		if err := edit(rec, entry); err != nil {
			return err
		}
		switch err := e.update(ctx, rec, out...); {
		case err == nil:
			return nil
		case errors.Is(err, ErrNotFound):
			return ErrUnknownChallenge
		case !errors.Is(err, ErrConflict):
			return unavailable(err)
		}
	}
	return unavailable(fmt.Errorf("a challenge kept changing: %w", ErrConflict))
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
// Redeem has to collect it, the time in milliseconds, the request, the digest of the cookie of the browser that had opened the
// page (nothing if none had), and
//
//	HMAC(key of the app, id | receipt | time | request | cookie | digest)
//
// A store can repeat a mark but not make one. A mark counts only with a digest of the encrypted content. It names the browser,
// because a store can return content from before that browser opened the page.
const (
	receiptUncollected = 'w'
	receiptReturned    = 'c'
	markHead           = 1 + 8 + requestIDSize
	markSize           = markHead + sha256.Size
)

func (k *ringKey) mark(id string, a *attempt, at time.Time, digest []byte) []byte {
	mark := append(make([]byte, 0, markSize+len(a.browser)), a.receipt)
	mark = binary.BigEndian.AppendUint64(mark, uint64(at.UnixMilli()))
	mark = append(mark, a.requestID[:]...)
	mark = append(mark, a.browser...)
	sum := k.marks.sum(id, string(mark), string(digest))
	return append(mark, sum[:]...)
}

// An approval is the content of a valid mark.
type approval struct {
	at          time.Time
	uncollected bool // the receipt was left to Redeem
	requestID   requestID
	browser     []byte // pageBinding.CookieDigest of the page when it was answered
}

// readMark decodes a mark, and reports whether it proves that the challenge was answered in time.
func (r *record) readMark(mark []byte) (approved approval, ok bool) {
	if len(mark) != markSize && len(mark) != markSize+sha256.Size || r.Decoy {
		return approval{}, false
	}
	content, proof := mark[:len(mark)-sha256.Size], mark[len(mark)-sha256.Size:]
	approved = approval{at: time.UnixMilli(int64(binary.BigEndian.Uint64(mark[1:]))).UTC(), uncollected: mark[0] == receiptUncollected,
		requestID: requestID(mark[markHead-requestIDSize:]), browser: content[markHead:]}
	if approved.at.After(r.ExpiresAt) {
		return approved, false
	}
	digests := r.Digests
	if len(digests) == 0 {
		digests = [][]byte{nil}
	}
	for _, d := range digests {
		if sum := r.key.marks.sum(r.ID, string(content), string(d)); hmac.Equal(proof, sum[:]) {
			return approved, true
		}
	}
	return approved, false
}

// tryTimeout is the longest time from charging a try to its approval. The store refuses a later approval. A challenge without
// tries left is locked after that time, even if the node that evaluated the last try never recorded a result.
const tryTimeout = 10 * time.Second

// lockUnsettled locks a challenge without tries left whose last try was never settled, after tryTimeout. It returns the entry
// as it is then.
func (e *Engine) lockUnsettled(ctx context.Context, rec *record, entry Entry) Entry {
	if entry.State != StatePending || entry.Tries > 0 || len(rec.Digests) > 0 || e.cfg.Clock().Sub(entry.LastTry) < tryTimeout {
		return entry
	}
	switch err := e.cfg.Store.Close(ctx, rec.id.storeID, Closing{State: StateLocked, Idle: tryTimeout, Ended: e.endOutgoing(rec.id)}); {
	case err == nil:
		entry.State = StateLocked
		e.recordLocked(ctx, rec.id, &rec.Challenge)
	case errors.Is(err, ErrClosed):
		if current, err := e.cfg.Store.Get(ctx, rec.id.storeID); err == nil {
			return current
		}
	}
	return entry
}
