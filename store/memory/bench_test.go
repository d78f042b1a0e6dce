package memory_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// live returns an entry like those of the engine: ids of the same length, two digests, 500 sealed bytes.
func live(n int) watchword.Entry {
	now := time.Now()
	sealed := make([]byte, 500)
	_, _ = rand.Read(sealed)
	return watchword.Entry{ID: fmt.Sprintf("%011d.%024d", n, n), Tries: 1 << 30, Digests: [][]byte{digest("right"), digest("link")}, Sealed: sealed,
		ExpiresAt: now.Add(10 * time.Hour), KeepUntil: now.Add(11 * time.Hour)}
}

func digest(word string) []byte {
	sum := sha256.Sum256([]byte(word))
	return sum[:]
}

func guess(word string) []watchword.Guess {
	return []watchword.Guess{{Digest: digest(word), State: watchword.StateApproved, Mark: digest("mark " + word)}}
}

func budget(n int) watchword.Budget {
	return watchword.Budget{Key: fmt.Sprintf("%011d.any", n), FirstFree: true,
		Limits: []watchword.Window{{Max: 1 << 30, Per: 15 * time.Minute}, {Max: 30, Per: time.Nanosecond}}}
}

// 100,000 live entries, each of a group with a budget, take less than 120 MiB.
func TestMemoryOfLiveEntriesIsBounded(t *testing.T) {
	const challenges, most = 100_000, 120 << 20
	before := heap()
	s := memory.New(memory.Config{})
	for n := range challenges {
		if err := s.Create(t.Context(), live(n)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Attempt(t.Context(), live(n).ID, guess("wrong"), budget(n)); err == nil {
			t.Fatal("a wrong guess won")
		}
	}
	size := heap() - before
	t.Logf("%d challenges and budgets: %.1f MiB, %d bytes each", challenges, float64(size)/(1<<20), size/challenges)
	if size > most {
		t.Errorf("%d MiB", size>>20)
	}
	runtime.KeepAlive(s)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkCreate(b *testing.B) {
	s := memory.New(memory.Config{MaxEntries: 1 << 30})
	e := live(0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.ID = fmt.Sprintf("%011d.%024d", i, i)
		if err := s.Create(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s, e := filled(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), e.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAttemptWrong(b *testing.B) {
	s, e := filled(b)
	wrong, charged := guess("wrong"), budget(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Attempt(b.Context(), e.ID, wrong, charged); err == nil {
			b.Fatal("a wrong guess won")
		}
	}
}

// A right guess closes an entry, so each iteration creates one.
func BenchmarkCreateAttemptRight(b *testing.B) {
	s := memory.New(memory.Config{MaxEntries: 1 << 30})
	e, right, charged := live(0), guess("right"), budget(0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.ID = fmt.Sprintf("%011d.%024d", 0, i)
		if err := s.Create(b.Context(), e); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Attempt(b.Context(), e.ID, right, charged); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	s, e := filled(b)
	b.ReportAllocs()
	for e.Version = 1; b.Loop(); e.Version++ {
		if err := s.Update(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

// Wrong guesses from all cores, each at its own entry.
func BenchmarkAttemptParallel(b *testing.B) {
	s, _ := filled(b)
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		n := int(next.Add(1))
		e, wrong, charged := live(n), guess("wrong"), budget(n)
		for pb.Next() {
			if _, err := s.Attempt(b.Context(), e.ID, wrong, charged); err == nil {
				b.Fatal("a wrong guess won")
			}
		}
	})
}

func filled(b *testing.B) (*memory.Store, watchword.Entry) {
	b.Helper()
	s := memory.New(memory.Config{})
	for n := range 10_000 {
		if err := s.Create(b.Context(), live(n)); err != nil {
			b.Fatal(err)
		}
	}
	return s, live(0)
}
