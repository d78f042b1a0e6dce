package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// A factorSet is everything that a subject has enrolled, as it was read, and the entry that changes of the set compare
// and set. That entry is a factor of a strategy of its own, kept beside the others: what adds or removes a factor first
// brings it to a new version, so of two that looked at the same set one looks again. What is enrolled is what is there;
// the entry says for how long the set has existed, and which factors are just being added.
type factorSet struct {
	subject string
	factors []Factor
	entry   *Factor // nil: nothing was ever enrolled, or the subject was removed
	life    string  // of the set: another one after the subject was removed; empty while there is no entry
	adding  []addition
	now     time.Time // by the clock of the store of factors
	fault   error     // the key that the entry was sealed under is not in the keyring
}

// An addition is a factor that is about to be created. It counts as enrolled for additionTime, so that nobody who looks
// meanwhile takes the set for what it was.
type addition struct {
	factor, strategy string
	challenge        string // that enrols it
	at               time.Time
}

const (
	setStrategy  = "factor_set" // no strategy can be called that
	additionTime = 30 * time.Second
	damagedLife  = "damaged" // of a set whose entry does not open; a life of a set that is made has other bytes
)

func (s *factorSet) fields(c *codec.Codec) {
	c.Text(&s.life)
	codec.Each(c, &s.adding, func(a *addition) {
		c.Text(&a.factor)
		c.Text(&a.strategy)
		c.Text(&a.challenge)
		c.Moment(&a.at)
	})
}

// setID names the entry of a subject's set.
func (v *factorStore) setID(subject string) string {
	sum := v.ids.sum("factor set", v.app, subject)
	return "fs_" + b64.EncodeToString(sum[:16])
}

// set reads everything that a subject has enrolled. An entry whose seal does not open was damaged: the next change makes it
// anew, and no enrolment that is open then goes on. Where only its key is missing nobody's proof is refused for that, and
// the app's own authority alone changes the set.
func (v *factorStore) set(ctx context.Context, subject string, now time.Time) (*factorSet, error) {
	set := &factorSet{subject: subject, now: now}
	if v.store == nil {
		return set, nil
	}
	stored, err := v.store.List(ctx, v.app, subject)
	if err != nil {
		return nil, unavailable(err)
	}
	for _, s := range stored {
		f := v.open(ctx, s)
		set.now = f.readTime(now)
		if s.Strategy != setStrategy {
			set.factors = append(set.factors, f)
			continue
		}
		set.entry = &f
		if f.damaged || codec.Decode(f.Data, set.fields) != nil {
			set.life, set.adding = damagedLife, nil
		}
		set.fault = f.keyless
	}
	return set, nil
}

// bump brings the set's entry to a new version, with what is being added; ErrConflict if somebody else was first, or if there
// was no entry that opens: then there is an empty one, of this life, that can be looked at by the clock of its store.
func (v *factorStore) bump(ctx context.Context, set *factorSet, life string, add ...addition) error {
	next, fresh := factorSet{life: set.life}, set.entry == nil || set.damaged()
	if fresh {
		next.life, add = life, nil
	}
	for _, a := range set.adding {
		if set.now.Sub(a.at) < additionTime && !set.has(a.factor) {
			next.adding = append(next.adding, a)
		}
	}
	for i := range add {
		add[i].at = set.now
	}
	next.adding = append(next.adding, add...)
	data, err := codec.Encode(next.fields)
	if err != nil {
		return err
	}
	f := Factor{ID: v.setID(set.subject), Subject: set.subject, Strategy: setStrategy, CreatedAt: set.now.UTC().Truncate(time.Millisecond), Data: data}
	if set.entry == nil {
		err = v.create(ctx, f)
	} else {
		f.Version, f.CreatedAt = set.entry.Version, set.entry.CreatedAt
		err = v.update(ctx, f)
	}
	switch {
	case err == nil && fresh, errors.Is(err, ErrExists), errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict):
		return ErrConflict
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// damaged reports whether there is an entry and it does not open.
func (s *factorSet) damaged() bool { return s.entry != nil && s.life == damagedLife }

func (s *factorSet) has(id string) bool { return s.find(id) != nil }

func (s *factorSet) find(id string) *Factor {
	for i := range s.factors {
		if s.factors[i].ID == id {
			return &s.factors[i]
		}
	}
	return nil
}

// others are the factors, those that are just being added included, which the challenge did not enrol itself.
func (s *factorSet) others(challenge string) (out []Factor) {
	for _, f := range s.factors {
		if challenge == "" || f.CreatedBy != challenge {
			out = append(out, f)
		}
	}
	for _, a := range s.adding {
		if own := challenge != "" && a.challenge == challenge; !own && !s.has(a.factor) && s.now.Sub(a.at) < additionTime {
			out = append(out, Factor{ID: a.factor, Strategy: a.strategy, CreatedBy: a.challenge})
		}
	}
	return out
}

// A removal of a subject is remembered in the short-lived store, longer than anything lives that began before it: an
// enrolment that began while nothing was enrolled has no set that it could have lost. An entry is named after the period
// that it was made in, and kept until the next one is over.
const removalPeriod = maxLifetime + keepClosed

func (e *Engine) removalRef(subject string, period int64) (ref, id string) {
	sum := e.identity.tags.sum("removed subject", e.cfg.App, subject, string(binary.BigEndian.AppendUint64(nil, uint64(period))))
	ref = storeID([randomSize]byte(sum[groupSize:]), [groupSize]byte(sum[:]), [kindSize]byte(sum[groupSize+randomSize:]))
	return ref, "removed " + ref
}

// recordRemoval keeps when the subject was removed last.
func (e *Engine) recordRemoval(ctx context.Context, subject string) error {
	now := e.cfg.Clock()
	period := now.UnixNano() / int64(removalPeriod)
	ref, id := e.removalRef(subject, period)
	sealer, err := e.keyring[0].sealer(id)
	if err != nil {
		return err
	}
	end := time.Unix(0, (period+1)*int64(removalPeriod))
	entry := Entry{ID: ref, Version: 1, ExpiresAt: end, KeepUntil: end.Add(removalPeriod),
		Sealed: sealer.seal(binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli())))}
	err = e.cfg.Store.Create(ctx, entry)
	for n := 0; errors.Is(err, ErrExists) && n < casTries; n++ {
		var before Entry
		if before, err = e.cfg.Store.Get(ctx, ref); err != nil {
			break
		}
		entry.Version = before.Version
		if err = e.cfg.Store.Update(ctx, entry); errors.Is(err, ErrConflict) {
			err = ErrExists
		}
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// removedSince reports whether the subject was removed after this time.
func (e *Engine) removedSince(ctx context.Context, subject string, began time.Time) (bool, error) {
	now := e.cfg.Clock().UnixNano() / int64(removalPeriod)
	for _, period := range [...]int64{now, now - 1} {
		ref, id := e.removalRef(subject, period)
		entry, err := e.cfg.Store.Get(ctx, ref)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return false, unavailable(err)
		}
		plain, _, err := e.keyring.open(id, entry.Sealed)
		if err != nil || len(plain) != 8 {
			continue // its key has left the ring, or it was tampered with, which is no more than deleting it
		}
		return time.UnixMilli(int64(binary.BigEndian.Uint64(plain))).After(began), nil
	}
	return false, nil
}
