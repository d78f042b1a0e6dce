package delivery

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

const (
	exchangeTimeout = 2 * time.Second // for one exchange
	flushTimeout    = 3 * time.Second // for the last one
)

// Run exchanges counts until the context ends, and then once more. The error says what could not be handed over by then.
// Run a PrefixBreaker once.
func (b *PrefixBreaker) Run(ctx context.Context) error {
	ticker := time.NewTicker(exchangeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return b.flush(context.WithoutCancel(ctx))
		case <-ticker.C:
			b.exchangeAndLog(ctx)
		}
	}
}

// exchangeAndLog is one exchange. That it fails is logged once until it succeeds again.
func (b *PrefixBreaker) exchangeAndLog(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	err := b.Exchange(ctx)
	switch {
	case ctx.Err() == context.Canceled:
	case err != nil && !b.unavailable:
		b.cfg.Logger.Warn("prefix counters unavailable", "app", b.cfg.App, "error", err)
		b.unavailable = true
	case err == nil && b.unavailable:
		b.cfg.Logger.Info("prefix counters available again", "app", b.cfg.App)
		b.unavailable = false
	}
}

// flush hands over what is left.
func (b *PrefixBreaker) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	err := b.Exchange(ctx)
	for ; err != nil && sleep(ctx, exchangeInterval); err = b.Exchange(ctx) {
	}
	if err != nil {
		return fmt.Errorf("delivery: prefix counts of app %s were not handed over: %w", b.cfg.App, err)
	}
	return nil
}

// Exchange hands over what was counted here, decides from what all processes have counted, and learns what they decided.
// A batch that was not answered is sent again under its name, so it counts once; when its name may have been forgotten it is
// dropped, so it never counts twice. Run calls it often enough.
func (b *PrefixBreaker) Exchange(ctx context.Context) error {
	b.exchanging.Lock()
	defer b.exchanging.Unlock()
	for b.nextBatch() {
		counts, err := b.cfg.Counters.Add(ctx, b.cfg.App, *b.batch)
		if err != nil {
			return err
		}
		asked := b.batch.Counts
		b.batch = nil
		if err := b.refuseUnverified(ctx, asked, counts); err != nil {
			return err
		}
	}
	return b.loadRefused(ctx)
}

// nextBatch reports whether there is a batch to hand over: the one that was not answered or what waits and, of what is
// watched, what looks as if it had to be refused by now.
func (b *PrefixBreaker) nextBatch() bool {
	now := b.cfg.Now()
	if b.batch != nil && now.Sub(b.batchSince) < BatchIDLifetime/2 {
		return true
	}
	if b.batch != nil {
		b.cfg.Logger.Warn("prefix counts dropped", "app", b.cfg.App, "counts", len(b.batch.Counts))
	}
	oldest, last := b.evaluatedSlots()
	counts := b.takePending(oldest)
	for prefix, seen := range b.watched {
		if len(counts) >= maxBatch {
			break
		}
		if _, _, bad := b.evaluate(seen); bad {
			counts = append(counts, Count{Key: prefix, Slot: last})
			delete(b.watched, prefix)
		}
	}
	b.batch = nil
	if len(counts) > 0 {
		keep := b.cfg.Window + b.cfg.Settle + 2*b.slot
		b.batch, b.batchSince = &Batch{ID: rand.Text(), Counts: counts, Oldest: oldest, Keep: keep}, now
	}
	return b.batch != nil
}

// takePending takes what waits, but for what is too old to count.
func (b *PrefixBreaker) takePending(oldest int64) (counts []Count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, c := range b.pending {
		if len(counts) >= maxBatch {
			break
		}
		if delete(b.pending, key); key.slot >= oldest {
			counts = append(counts, c)
		}
	}
	return counts
}

// refuseUnverified refuses the prefixes of a batch of whose challenges too few were verified. Those with enough challenges are watched,
// since most of these may be too young to be evaluated yet.
func (b *PrefixBreaker) refuseUnverified(ctx context.Context, asked, counts []Count) error {
	for _, c := range asked {
		delete(b.watched, c.Key)
	}
	byPrefix := map[string][]Count{}
	for _, c := range counts {
		byPrefix[c.Key] = append(byPrefix[c.Key], c)
	}
	for prefix, counts := range byPrefix {
		if sumSent(counts) >= int64(b.cfg.Sent) && len(b.watched) < MaxKeys {
			b.watched[prefix] = counts
		}
	}
	for prefix, counts := range byPrefix {
		sent, verified, bad := b.evaluate(counts)
		if !bad {
			continue
		}
		if err := b.refusePrefix(ctx, prefix, sent, verified); err != nil {
			return err
		}
		delete(b.watched, prefix)
	}
	return nil
}

func sumSent(counts []Count) (sent int64) {
	for _, c := range counts {
		sent += c.Sent
	}
	return sent
}

// evaluate sums up the window, and reports whether too few were verified. Of a slot that was forgotten with a refusal some
// may be verified later: they are no more than were sent.
func (b *PrefixBreaker) evaluate(counts []Count) (sent, verified int64, bad bool) {
	first, last := b.evaluatedSlots()
	for _, c := range counts {
		if c.Slot >= first && c.Slot <= last {
			sent, verified = sent+c.Sent, verified+min(c.Verified, c.Sent)
		}
	}
	return sent, verified, sent >= int64(b.cfg.Sent) && verified*100 < sent*int64(b.cfg.Percent)
}

// refusePrefix refuses a prefix, for all processes. One of them logs it.
func (b *PrefixBreaker) refusePrefix(ctx context.Context, prefix string, sent, verified int64) error {
	first, err := b.cfg.Counters.Refuse(ctx, b.cfg.App, prefix, b.cfg.Pause)
	if err != nil {
		return err
	}
	if first {
		b.cfg.Logger.Warn("number prefix is sent to, but hardly verified", "app", b.cfg.App, "prefix", prefix, "sent", sent, "verified", verified,
			"refused_for", b.cfg.Pause.String(), "shadow", b.cfg.Shadow)
	}
	return nil
}

// loadRefused takes over what is refused.
func (b *PrefixBreaker) loadRefused(ctx context.Context) error {
	refused, err := b.cfg.Counters.Refused(ctx, b.cfg.App)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.refused)
	for prefix, left := range refused {
		b.refused[prefix] = b.cfg.Now().Add(left)
	}
	return nil
}
