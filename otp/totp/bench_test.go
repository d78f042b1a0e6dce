package totp

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

const (
	benchSubjects = 512
	benchClients  = 32
)

// BenchmarkCheck checks right codes from 32 clients; each is stored durably. Starting the challenges is not counted.
func BenchmarkCheck(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchmarkCheck(b, &memory.Factors{}) })
	b.Run("sqlite", func(b *testing.B) { benchmarkCheck(b, openSQLite(b)) })
	b.Run("postgres", func(b *testing.B) { benchmarkCheck(b, openPostgres(b)) })
}

func benchmarkCheck(b *testing.B, factors watchword.Factors) {
	k := newKit(b, func(_ *Config, c *watchword.Config) { c.Factors, c.Events = factors, nil })
	people := make([]*benchPerson, benchSubjects)
	for i := range people {
		people[i] = &benchPerson{subject: fmt.Sprint("user_", i)}
		people[i].device = k.enrol("totp", people[i].subject)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += benchSubjects {
		b.StopTimer()
		k.advance(step)
		for _, p := range people {
			p.challenge, p.code = k.startChallenge("totp", p.subject), p.device.codeAt(k.time())
		}
		b.StartTimer()
		benchRound(b, k, people[:min(benchSubjects, b.N-done)])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
}

// A benchPerson is a subject with a device and a pending challenge.
type benchPerson struct {
	device                   *device
	subject, challenge, code string
}

func benchRound(b *testing.B, k *kit, people []*benchPerson) {
	var all sync.WaitGroup
	for client := range benchClients {
		all.Go(func() {
			for i := client; i < len(people); i += benchClients {
				p := people[i]
				if _, err := k.Check(context.Background(), p.challenge, watchword.CheckRequest{Purpose: "sign_in", Subject: p.subject, Answer: watchword.Answer{Text: p.code}}); err != nil {
					b.Errorf("%s: %v", p.subject, err)
				}
			}
		})
	}
	all.Wait()
}
