package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// A factorSet is everything that a subject has enrolled at one time, with the entry that serializes changes. The entry is a
// row of the factor store with a strategy of its own. Whatever adds or removes a factor first updates the entry by
// compare-and-set, so of two concurrent changes one reads the set again. The rows of the factors are what is enrolled; the
// entry holds the generation of the set and the factors that are being created.
type factorSet struct {
	subject string
	factors []Factor
	entry   *Factor // nil: the subject has no set
	life    string  // random; a new one after the subject was removed; empty: there is no entry
	adding  []addition
	now     time.Time // by the clock of the factor store
	fault   error     // the key of the entry is not in the keyring
}

// A pendingFactor is a factor that is being created. It counts as enrolled for pendingFactorTime, so that concurrent changes
// do not overlook it.
type addition struct {
	factor, strategy string
	challenge        string // that enrols it
	at               time.Time
}

const (
	setStrategy  = "factor_set" // no strategy may have this name
	additionTime = 30 * time.Second
	damagedLife  = "damaged" // of a set whose entry cannot be decrypted; random generations have another length
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

// setID returns the id of the entry of a subject's set.
func (v *factorStore) setID(subject string) string {
	sum := v.ids.sum("factor set", v.app, subject)
	return "fs_" + b64.EncodeToString(sum[:16])
}

// readSet reads everything that a subject has enrolled. If the entry is damaged the next change replaces it, which ends the
// enrolments that are open. If only its key is missing, only the app's own authority may change the set.
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

// updateSet writes the set's entry as a new version with the pending factors. ErrConflict if the entry was changed meanwhile.
// If there was no readable entry it creates an empty one of the given generation and returns ErrConflict too, so that the
// caller reads it with the clock of the factor store.
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

// damaged reports whether the entry exists and cannot be decrypted.
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

// others returns the factors and pending factors that the challenge has not enrolled itself.
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

// The removal of a subject is recorded in the Store, because an enrolment that began without a set has no generation that
// could change. The record lives longer than every challenge that began before the removal. Its entry is named after the
// period of the removal and expires at the end of the next one.
const removalPeriod = maxLifetime + keepClosed

func (e *Engine) removalRef(subject string, period int64) (ref, id string) {
	sum := e.identity.tags.sum("removed subject", e.cfg.App, subject, string(binary.BigEndian.AppendUint64(nil, uint64(period))))
	ref = storeID([randomSize]byte(sum[groupSize:]), [groupSize]byte(sum[:]), [kindSize]byte(sum[groupSize+randomSize:]))
	return ref, "removed " + ref
}

// recordRemoval stores the time of a subject's latest removal.
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

// removedSince reports whether the subject was removed after the given time.
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
			continue // its key was removed from the keyring, or it was tampered with, which is no more than its deletion
		}
		return time.UnixMilli(int64(binary.BigEndian.Uint64(plain))).After(began), nil
	}
	return false, nil
}
