package watchword

import (
	"context"
	"errors"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// A factorSet is everything that a subject has enrolled at one time, with the entry that serializes changes. The entry is a
// row of the factor store with a strategy of its own. Whatever adds or removes a factor first updates the entry by
// compare-and-set, so of two concurrent changes one reads the set again. The rows of the factors are what is enrolled; the
// entry holds the generation of the set and the factors that are being created.
type factorSet struct {
	subject    string
	factors    []Factor
	entry      *Factor // nil: the subject has no set
	generation string  // random; a new one after the subject was removed; empty: there is no entry
	pending    []pendingFactor
	readAt     time.Time // by the clock of the factor store
	keyError   error     // the key of the entry is not in the keyring
	devices    string    // the strategy whose factors are trusted devices; empty: none
}

// A pendingFactor is a factor that is being created. It counts as enrolled for pendingFactorTime, so that concurrent changes
// do not overlook it.
type pendingFactor struct {
	factor, strategy string
	challenge        string // that enrols it
	at               time.Time
}

const (
	setStrategy       = "factor_set" // no strategy may have this name
	pendingFactorTime = 30 * time.Second
	damagedGeneration = "damaged" // of a set whose entry cannot be decrypted; random generations have another length
)

func (s *factorSet) fields(c *codec.Codec) {
	c.Text(&s.generation)
	codec.Each(c, &s.pending, func(c *codec.Codec, a *pendingFactor) {
		c.Text(&a.factor)
		c.Text(&a.strategy)
		c.Text(&a.challenge)
		c.Moment(&a.at)
	})
}

// setID returns the id of the entry of a subject's set.
func (fs *factorStore) setID(subject string) string {
	sum := fs.ids.sum("factor set", fs.app, subject)
	return "fs_" + b64.EncodeToString(sum[:16])
}

// readSet reads everything that a subject has enrolled. If the entry is damaged the next change replaces it, which ends the
// enrolments that are open. If only its key is missing, only the app's own authority may change the set.
func (fs *factorStore) readSet(ctx context.Context, subject string, now time.Time) (*factorSet, error) {
	set := &factorSet{subject: subject, readAt: now, devices: fs.devices}
	if fs.store == nil {
		return set, nil
	}
	stored, err := fs.store.List(ctx, fs.app, subject)
	if err != nil {
		return nil, unavailable(err)
	}
	for _, s := range stored {
		f := fs.open(ctx, s)
		set.readAt = f.readTime(now)
		if s.Strategy != setStrategy {
			set.factors = append(set.factors, f)
			continue
		}
		set.entry = &f
		if f.damaged || codec.Decode(f.Data, set.fields) != nil {
			set.generation, set.pending = damagedGeneration, nil
		}
		set.keyError = f.missingKey
	}
	return set, nil
}

// updateSet writes the set's entry as a new version with the pending factors. ErrConflict if the entry was changed meanwhile.
// If there was no readable entry it creates an empty one of the given generation and returns ErrConflict too, so that the
// caller reads it with the clock of the factor store.
func (fs *factorStore) updateSet(ctx context.Context, set *factorSet, generation string, pending ...pendingFactor) error {
	next, isNew := factorSet{generation: set.generation}, set.entry == nil || set.damaged()
	if isNew {
		next.generation, pending = generation, nil
	}
	for _, p := range set.pending {
		if set.readAt.Sub(p.at) < pendingFactorTime && !set.contains(p.factor) {
			next.pending = append(next.pending, p)
		}
	}
	for i := range pending {
		pending[i].at = set.readAt
	}
	next.pending = append(next.pending, pending...)
	data, err := codec.Encode(next.fields)
	if err != nil {
		return err
	}
	f := Factor{ID: fs.setID(set.subject), Subject: set.subject, Strategy: setStrategy, CreatedAt: set.readAt.UTC().Truncate(time.Millisecond), Data: data}
	if set.entry == nil {
		err = fs.create(ctx, f)
	} else {
		f.Version, f.CreatedAt = set.entry.Version, set.entry.CreatedAt
		err = fs.update(ctx, f)
	}
	switch {
	case err == nil && isNew, errors.Is(err, ErrExists), errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict):
		return ErrConflict
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// damaged reports whether the entry exists and cannot be decrypted.
func (s *factorSet) damaged() bool { return s.entry != nil && s.generation == damagedGeneration }

func (s *factorSet) contains(id string) bool { return s.find(id) != nil }

func (s *factorSet) find(id string) *Factor {
	for i := range s.factors {
		if s.factors[i].ID == id {
			return &s.factors[i]
		}
	}
	return nil
}

// others returns the factors and pending factors that the challenge has not enrolled itself. Trusted devices are not among them:
// they protect nothing and use up no places.
func (s *factorSet) others(challenge string) (out []Factor) {
	for _, f := range s.factors {
		if f.Strategy != "" && f.Strategy == s.devices {
			continue
		}
		if challenge == "" || f.CreatedBy != challenge {
			out = append(out, f)
		}
	}
	for _, p := range s.pending {
		if ofChallenge := challenge != "" && p.challenge == challenge; !ofChallenge && !s.contains(p.factor) && s.readAt.Sub(p.at) < pendingFactorTime {
			out = append(out, Factor{ID: p.factor, Strategy: p.strategy, CreatedBy: p.challenge})
		}
	}
	return out
}
