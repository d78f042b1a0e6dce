package recovery

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

const (
	benchSubjects = 512
	benchClients  = 32
)

// BenchmarkCheck checks right codes from 32 clients; each is stored durably. Starting the challenges and enrolling are not
// counted.
func BenchmarkCheck(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchmarkCheck(b, &memory.Factors{}) })
	b.Run("sqlite", func(b *testing.B) { benchmarkCheck(b, openSQLite(b)) })
	b.Run("postgres", func(b *testing.B) { benchmarkCheck(b, openPostgres(b)) })
}

func benchmarkCheck(b *testing.B, factors watchword.Factors) {
	k := newKit(b, "shop", factors)
	k.config.Events = nil
	k.Engine = k.newNode()
	codes, challenges := make([][]string, benchSubjects), make([]string, benchSubjects)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += benchSubjects {
		b.StopTimer()
		for i := range benchSubjects {
			subject := fmt.Sprint("user_", i)
			if len(codes[i]) == 0 {
				codes[i] = k.enrol(subject)
			}
			challenges[i] = k.start(watchword.StartRequest{Purpose: "mfa", Subject: subject}).ID
		}
		k.advance(time.Minute) // expired entries free their space
		b.StartTimer()
		var all sync.WaitGroup
		for client := range benchClients {
			all.Go(func() {
				for i := client; i < min(benchSubjects, b.N-done); i += benchClients {
					subject := fmt.Sprint("user_", i)
					if _, err := k.Check(context.Background(), challenges[i], watchword.CheckRequest{Purpose: "mfa", Subject: subject, Answer: watchword.Answer{Text: codes[i][0]}}); err != nil {
						b.Errorf("%s: %v", subject, err)
					}
					codes[i] = codes[i][1:]
				}
			})
		}
		all.Wait()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
}
