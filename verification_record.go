package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

const (
	verificationPrefix   = "vf_"
	verificationStrategy = "verification" // in the ids of verifications; no strategy may have this name
)

// verificationContent is the encrypted content of a verification's entry. It changes by compare-and-set alone; the state, tries
// and mark of the entry are not used.
type verificationContent struct {
	ID          string // as callers see it; not encrypted
	Version     int64  // of the entry, so that older content does not pass for newer
	Salt        []byte
	Purpose     string
	Subject     string
	Address     string // of every method, if there is no subject; empty: the methods send nothing
	Require     Requirement
	Locale      string
	ReturnURL   string
	Nonce       string
	Transaction map[string]string
	Metadata    map[string]string
	Client      Client
	CreatedAt   time.Time
	ExpiresAt   time.Time
	Decoy       bool
	Remember    bool // VerificationRequest.RememberDevice
	Methods     []verificationMethod
	Current     string // id of the method that was opened last
	Fallback    fallback
	SeenAt      time.Time // when a page or a waiting caller was there; written only if the fallback needs it

	CanceledAt  time.Time // zero: it was not canceled
	Expiry      bool      // the expiry is recorded: nothing else ends the verification any more
	Answered    string    // id of the method whose right answer approved the verification; empty: it is not approved
	Claims      *Claims
	EnrolledBy  string // challenge that enrolled the factor that answered; empty: none did
	Collected   bool   // the receipt was returned
	CollectedAt time.Time
	CollectedBy requestID

	Page pageBinding
}

func (v *verificationContent) fields(f *codec.Codec) {
	f.Number64(&v.Version)
	f.Bytes(&v.Salt)
	for _, text := range []*string{&v.Purpose, &v.Subject, &v.Address, (*string)(&v.Require), &v.Locale, &v.ReturnURL, &v.Nonce, &v.Client.IP,
		&v.Client.UserAgent, &v.Current, &v.Answered, &v.EnrolledBy} {
		f.Text(text)
	}
	f.Texts(&v.Transaction)
	f.Texts(&v.Metadata)
	for _, moment := range []*time.Time{&v.CreatedAt, &v.ExpiresAt, &v.SeenAt, &v.CanceledAt, &v.CollectedAt} {
		f.Moment(moment)
	}
	for _, flag := range []*bool{&v.Client.Known, &v.Decoy, &v.Remember, &v.Expiry, &v.Collected} {
		f.Flag(flag)
	}
	codec.Each(f, &v.Methods, func(c *codec.Codec, m *verificationMethod) { m.fields(c) })
	v.Fallback.fields(f)
	codec.Optional(f, &v.Claims, (*Claims).fields)
	v.CollectedBy.field(f)
	v.Page.fields(f)
}

// A verificationMethod is a method that a verification offers.
type verificationMethod struct {
	ID       string
	Strategy string
	Channel  string
	Address  string // canonical
	SentTo   string // masked
	Kind     string // Address.Kind
	Prefix   string // Address.Prefix; empty for a decoy
	Factor   string
	Ask      Ask

	Challenge string    // id of the last challenge that was opened for it; empty: none
	Opened    int       // number of challenges that were opened for it; one that expired may be followed by another
	OpenedAt  time.Time // when the last one was opened
	Ended     Status    // how it ended, as far as it was recorded; empty: it is open, or ended otherwise
}

func (m *verificationMethod) fields(f *codec.Codec) {
	for _, text := range []*string{&m.ID, &m.Strategy, &m.Channel, &m.Address, &m.SentTo, &m.Kind, &m.Prefix, &m.Factor, (*string)(&m.Ask), &m.Challenge, (*string)(&m.Ended)} {
		f.Text(text)
	}
	f.Number(&m.Opened)
	f.Moment(&m.OpenedAt)
}

// isOpen reports whether the method was opened and is not known to have ended.
func (m *verificationMethod) isOpen() bool { return m.Challenge != "" && m.Ended == "" }

// A fallback is the part of a verification about the method that the engine may open by itself.
type fallback struct {
	After  time.Duration // zero: none
	Method string        // id of the method; empty: none
	From   string        // id of the method whose message did not arrive; set when Method is opened by the engine
	Ended  bool          // Method was opened, or will not be
}

func (b *fallback) fields(f *codec.Codec) {
	f.Number64((*int64)(&b.After))
	f.Text(&b.Method)
	f.Text(&b.From)
	f.Flag(&b.Ended)
}

// verificationRecord is a decrypted entry of a verification.
type verificationRecord struct {
	verificationContent
	id      challengeID // without a strategy
	key     *ringKey
	sealer  *sealer
	version int64
}

// parseVerification parses the id of a verification; ErrUnknownVerification.
func (e *Engine) parseVerification(id string) (challengeID, error) {
	parsed, ok := e.identity.parseID(verificationPrefix, id)
	if !ok || parsed.appTag != e.appTag || parsed.strategyTag != e.identity.strategyTag(verificationStrategy) {
		return challengeID{}, ErrUnknownVerification
	}
	return parsed, nil
}

// newVerificationID returns an id with a random part, and a random salt. A seed determines the id and not the salt.
func (e *Engine) newVerificationID(seed []byte) (challengeID, []byte, error) {
	random, err := e.random(randomSize + groupSize + saltSize)
	if err != nil {
		return challengeID{}, nil, fmt.Errorf("watchword: random source: %w", err)
	}
	if seed != nil {
		sum := e.identity.tags.sum("verification seed", e.cfg.App, string(seed))
		copy(random[:randomSize+groupSize], sum[:])
	}
	id := e.identity.newID(verificationPrefix, [randomSize]byte(random), e.appTag, [groupSize]byte(random[randomSize:]), e.identity.strategyTag(verificationStrategy))
	return id, random[randomSize+groupSize:], nil
}

// readVerification gets and decrypts an entry. The error is ErrUnknownVerification or ErrUnavailable.
func (e *Engine) readVerification(ctx context.Context, id challengeID) (*verificationRecord, error) {
	entry, err := e.cfg.Store.Get(ctx, id.storeID)
	if errors.Is(err, ErrNotFound) {
		return nil, ErrUnknownVerification
	}
	if err != nil {
		return nil, unavailable(err)
	}
	plain, sealer, err := e.keyring.open(id.text, entry.Sealed)
	v := &verificationRecord{id: id, sealer: sealer, version: entry.Version}
	if err == nil {
		err = codec.Decode(plain, v.fields)
	}
	if err == nil && v.Version != entry.Version {
		err = fmt.Errorf("version %d is sealed as %d: %w", entry.Version, v.Version, errSeal)
	}
	if err != nil {
		e.log.ErrorContext(ctx, "a verification's seal does not open", "verification", id.text, "error", err)
		return nil, ErrUnknownVerification
	}
	v.ID, v.key = id.text, sealer.key
	return v, nil
}

// seal encrypts the record as the given version.
func (v *verificationRecord) seal(version int64) ([]byte, error) {
	v.Version = version
	plain, err := codec.Encode(v.fields)
	if err != nil {
		return nil, err
	}
	if v.sealer == nil {
		if v.sealer, err = v.key.sealer(v.ID); err != nil {
			return nil, err
		}
	}
	return v.sealer.seal(plain), nil
}

// createVerification stores a new record and queues its events; ErrExists.
func (e *Engine) createVerification(ctx context.Context, v *verificationRecord) error {
	data, err := v.seal(1)
	if err != nil {
		return err
	}
	v.version = 1
	return e.cfg.Store.Create(ctx, Entry{ID: v.id.storeID, Version: 1, Sealed: data, ExpiresAt: v.ExpiresAt, KeepUntil: v.ExpiresAt.Add(keepAfterExpiry)},
		e.verificationStartOutgoing(v)...)
}

// writeVerification writes the record by compare-and-set and queues out in the same step: ErrConflict if it was changed since it was
// read.
func (e *Engine) writeVerification(ctx context.Context, v *verificationRecord, out ...Outgoing) error {
	data, err := v.seal(v.version + 1)
	if err == nil {
		err = e.cfg.Store.Update(ctx, Entry{ID: v.id.storeID, Version: v.version, Sealed: data}, out...)
	}
	switch {
	case err == nil:
		v.version++
	case errors.Is(err, ErrNotFound):
		return ErrUnknownVerification
	case !errors.Is(err, ErrConflict):
		return unavailable(err)
	}
	return err
}

// updateVerification calls edit and writes the record by compare-and-set. If the record was changed meanwhile it reads it and
// starts again. It begins by reading if v is nil. An error of edit is returned and nothing is written. If edit ends the verification,
// its event is queued in the step that writes it. It returns the record as edit has left it.
func (e *Engine) updateVerification(ctx context.Context, id challengeID, v *verificationRecord, edit func(*verificationRecord) error) (*verificationRecord, error) {
	for range maxConflictRetries {
		if v == nil {
			var err error
			if v, err = e.readVerification(ctx, id); err != nil {
				return nil, err
			}
		}
		ended := v.hasEnded()
		if err := edit(v); err != nil {
			return v, err
		}
		var out []Outgoing
		if !ended && v.hasEnded() {
			out = e.verificationEndOutgoing(v)
		}
		err := e.writeVerification(ctx, v, out...)
		if !errors.Is(err, ErrConflict) {
			return v, err
		}
		v = nil
	}
	return nil, unavailable(fmt.Errorf("a verification kept changing: %w", ErrConflict))
}

// isCanceled reports whether the verification was canceled.
func (v *verificationRecord) isCanceled() bool { return !v.CanceledAt.IsZero() }

// method returns a method by its id; nil if there is none.
func (v *verificationRecord) method(id string) *verificationMethod {
	for i := range v.Methods {
		if v.Methods[i].ID == id {
			return &v.Methods[i]
		}
	}
	return nil
}

// handle returns the secret with which the starter collects the receipt.
func (v *verificationRecord) handle() Code { return v.secret("hd_", "handle") }

// ticket returns the secret that opens the verification's hosted page.
func (v *verificationRecord) ticket() Code { return v.secret("vt_", "ticket") }

func (v *verificationRecord) secret(prefix, use string) Code {
	sum := v.key.handles.sum(use, v.ID, string(v.Salt))
	return NewCode(prefix + b64.EncodeToString(sum[:]))
}

// OwnsVerification reports whether the id is of a verification of the engine's app. It does not read the store.
func (e *Engine) OwnsVerification(id string) bool {
	_, err := e.parseVerification(id)
	return err == nil
}
