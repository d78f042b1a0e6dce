package watchword

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// The removal of a subject is recorded in the Store, because an enrolment that began without a set has no generation that could
// change, and a link needs no factor. A record lives longer than every challenge that began before the removal. Its entry is named
// after the period of the removal and expires at the end of the next one. Apps with links that live long have a second record.
const (
	removalPeriod     = verificationLifetime + keepAfterExpiry
	linkRemovalPeriod = maxLinkLifetime + keepAfterExpiry
)

// removalIDs returns the store's id of a record, and the id for its encryption.
func (e *Engine) removalIDs(subject string, length time.Duration, period int64) (entryID, sealID string) {
	use := "removed subject"
	if length == linkRemovalPeriod {
		use = "removed subject of links"
	}
	sum := e.identity.tags.sum(use, e.cfg.App, subject, string(binary.BigEndian.AppendUint64(nil, uint64(period))))
	entryID = storeID([randomSize]byte(sum[groupSize:]), [groupSize]byte(sum[:]), [strategyTagSize]byte(sum[groupSize+randomSize:]))
	return entryID, "removed " + entryID
}

// recordRemoval stores the time of a subject's latest removal.
func (e *Engine) recordRemoval(ctx context.Context, subject string) error {
	err := e.recordRemovalFor(ctx, subject, removalPeriod)
	if err == nil && e.longestLifetime() > maxLifetime {
		err = e.recordRemovalFor(ctx, subject, linkRemovalPeriod)
	}
	return err
}

// recordRemovalFor stores the time of a subject's latest removal in the record of periods of this length.
func (e *Engine) recordRemovalFor(ctx context.Context, subject string, length time.Duration) error {
	now := e.cfg.Clock()
	period := now.UnixNano() / int64(length)
	entryID, sealID := e.removalIDs(subject, length, period)
	sealer, err := e.keyring[0].sealer(sealID)
	if err != nil {
		return err
	}
	end := time.Unix(0, (period+1)*int64(length))
	entry := Entry{ID: entryID, Version: 1, ExpiresAt: end, KeepUntil: end.Add(length),
		Sealed: sealer.seal(binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli())))}
	err = e.cfg.Store.Create(ctx, entry)
	for n := 0; errors.Is(err, ErrExists) && n < maxConflictRetries; n++ {
		var stored Entry
		if stored, err = e.cfg.Store.Get(ctx, entryID); err != nil {
			break
		}
		entry.Version = stored.Version
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
func (e *Engine) removedSince(ctx context.Context, subject string, since time.Time) (bool, error) {
	return e.hasRemoval(ctx, subject, removalPeriod, since)
}

// hasRemoval reports whether the records of periods of this length have a removal of the subject after the given time.
func (e *Engine) hasRemoval(ctx context.Context, subject string, length time.Duration, since time.Time) (bool, error) {
	now := e.cfg.Clock().UnixNano() / int64(length)
	for _, period := range [...]int64{now, now - 1} {
		entryID, sealID := e.removalIDs(subject, length, period)
		entry, err := e.cfg.Store.Get(ctx, entryID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return false, unavailable(err)
		}
		plain, _, err := e.keyring.open(sealID, entry.Sealed)
		if err != nil || len(plain) != 8 {
			continue // its key was removed from the keyring, or it was tampered with, which is no more than its deletion
		}
		return time.UnixMilli(int64(binary.BigEndian.Uint64(plain))).After(since), nil
	}
	return false, nil
}

// endIfRemoved cancels a link that lives long if its subject was removed after it was started. A link needs no factor whose removal
// would end it.
func (e *Engine) endIfRemoved(ctx context.Context, rec *record, entry *Entry) error {
	if !rec.LongLived || rec.Subject == "" || entry.State != StatePending && entry.State != StateApproved {
		return nil
	}
	removed, err := e.hasRemoval(ctx, rec.Subject, linkRemovalPeriod, rec.CreatedAt)
	if err != nil || !removed {
		return err
	}
	rec.subjectRemoved = true
	if entry.State == StateApproved { // it was answered; its receipt cannot be collected any more
		return nil
	}
	switch err := e.cfg.Store.Close(ctx, rec.id.storeID, Closing{State: StateCanceled, Mark: rec.cancelMark(e.cfg.Clock(), false), Ended: e.endOutgoing(rec.id)}); {
	case err == nil:
		e.tombstonesOf(rec.id).Add(rec.id.random, tombstoneChallenge, Canceled)
		e.watchers.Wake(rec.ID)
		e.emit(ctx, EventCanceled, &rec.Challenge)
	case !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotFound):
		return unavailable(err)
	}
	entry.State = StateCanceled
	return nil
}

// checkSubjectRemains refuses an answer to a link that lives long and whose subject was removed.
func (e *Engine) checkSubjectRemains(ctx context.Context, id challengeID) error {
	_, rec, err := e.read(ctx, id)
	if err == nil && rec.subjectRemoved {
		err = ErrChallengeCanceled
	}
	return err
}
