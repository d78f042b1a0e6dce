package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/internal/script"
	"github.com/watchword-auth/watchword/store/redis"
)

// BenchmarkStore calls each method on one server and on a Cluster, sequentially; most of the time is the round trip. "bare
// script" is a script that does nothing.
func BenchmarkStore(b *testing.B) {
	b.Run("single", func(b *testing.B) { methods(b, redistest.Start(b).URL()) })
	b.Run("cluster", func(b *testing.B) { methods(b, redistest.StartCluster(b).URL()) })
}

func methods(b *testing.B, url string) {
	client := open(b, url)
	s := redis.New(client, redis.Config{})
	e := entry("AbCdEfGhIjk.0123456789abcdefABCDEF12")
	e.Tries = 1 << 30
	must(b, s.Create(b.Context(), e))
	charged := watchword.Budget{Key: "AbCdEfGhIjk.any", FirstFree: true,
		Limits: []watchword.Window{{Max: 30, Per: time.Microsecond}, {Max: 5, Per: time.Microsecond}}}
	bare := script.New(`return 1`)
	var n atomic.Int64
	fresh := func() watchword.Entry {
		f := e
		f.ID = fmt.Sprintf("%011d.0123456789abcdefABCDEF12", n.Add(1))
		return f
	}
	bench := func(name string, call func(b *testing.B) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := call(b); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("bare script", func(b *testing.B) error {
		_, err := bare.Run(b.Context(), client, []string{"key"})
		return err
	})
	bench("create", func(b *testing.B) error { return s.Create(b.Context(), fresh()) })
	bench("get", func(b *testing.B) error { _, err := s.Get(b.Context(), e.ID); return err })
	bench("attempt wrong", func(b *testing.B) error {
		_, err := s.Attempt(b.Context(), e.ID, guess("wrong"), charged)
		return ignore(err, watchword.ErrMismatch)
	})
	bench("create, attempt right", func(b *testing.B) error {
		f := fresh()
		if err := s.Create(b.Context(), f); err != nil {
			return err
		}
		_, err := s.Attempt(b.Context(), f.ID, guess("right"), limited(f.ID[:11]+".any"))
		return err
	})
	bench("create, close", func(b *testing.B) error {
		f := fresh()
		if err := s.Create(b.Context(), f); err != nil {
			return err
		}
		return s.Close(b.Context(), f.ID, watchword.Closing{State: watchword.StateCanceled})
	})
	e.Version = 1
	bench("update", func(b *testing.B) error { err := s.Update(b.Context(), e); e.Version++; return err })
}

// BenchmarkLoad makes wrong guesses from 64 goroutines, each at its own entry, and compares with scripts that do nothing:
// the ratio is the share of Redis' speed that the store reaches.
func BenchmarkLoad(b *testing.B) {
	client := open(b, redistest.Start(b).URL())
	s := redis.New(client, redis.Config{})
	bare := script.New(`return 1`)
	load := func(name string, call func(b *testing.B, id string) error) {
		b.Run(name, func(b *testing.B) {
			var n atomic.Int64
			b.SetParallelism(64 / 2)
			b.RunParallel(func(pb *testing.PB) {
				e := entry(fmt.Sprintf("%s%06d.x", name[:4], n.Add(1)))
				e.Tries = 1 << 30
				_ = s.Create(b.Context(), e)
				for pb.Next() {
					if err := call(b, e.ID); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	load("bare script", func(b *testing.B, id string) error {
		_, err := bare.Run(b.Context(), client, []string{id})
		return err
	})
	load("attempt wrong", func(b *testing.B, id string) error {
		_, err := s.Attempt(b.Context(), id, guess("wrong"), watchword.Budget{Key: id[:10] + ".any", FirstFree: true,
			Limits: []watchword.Window{{Max: 30, Per: time.Microsecond}, {Max: 5, Per: time.Microsecond}}})
		return ignore(err, watchword.ErrMismatch)
	})
}
