package enginetest_test

import (
	"context"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// BenchmarkCheck measures a check on store/memory without signing the receipt: at most 10 µs and 40 allocations.
func BenchmarkCheck(b *testing.B) {
	fresh := func(b *testing.B) *kit {
		return newKit(b, func(c *watchword.Config) {
			c.Store, c.Logger, c.Events = memory.New(memory.Config{MaxEntries: 1 << 24, Clock: c.Clock}), nil, nil
		})
	}
	b.Run("right", func(b *testing.B) {
		k := fresh(b)
		ids, codes := make([]string, b.N), make([]string, b.N)
		for i := range b.N {
			s, err := k.Start(context.Background(), startByEmail())
			if err != nil {
				b.Fatal(err)
			}
			ids[i] = s.ID
			m, err := k.ComposeMessage(context.Background(), k.outbox.list()[len(k.outbox.list())-1])
			if err != nil {
				b.Fatal(err)
			}
			codes[i] = m.Code.Reveal()
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			if _, err := k.check(ids[i], codes[i]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("wrong", func(b *testing.B) {
		k := fresh(b)
		s := k.start(startByEmail())
		wrong := wrongCode(k.code(s.ID))
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			_, _ = k.check(s.ID, wrong)
		}
	})
}

func BenchmarkStart(b *testing.B) {
	k := newKit(b, func(c *watchword.Config) {
		c.Store, c.Logger, c.Events = memory.New(memory.Config{MaxEntries: 1 << 24, Clock: c.Clock}), nil, nil
	})
	b.ReportAllocs()
	for range b.N {
		if _, err := k.Start(context.Background(), startByEmail()); err != nil {
			b.Fatal(err)
		}
	}
}
