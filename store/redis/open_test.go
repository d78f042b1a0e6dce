package redis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

func TestOpenReadsSettingsOfTheURL(t *testing.T) {
	single := openAsGiven(t, "redis://user:secret@127.0.0.1:7777/3?read_timeout=300ms&max_retries=5").(*goredis.Client).Options()
	if single.Addr != "127.0.0.1:7777" || single.DB != 3 || single.Username != "user" || single.Password != "secret" || single.TLSConfig != nil {
		t.Errorf("of the URL: %s, database %d", single.Addr, single.DB)
	}
	if single.ReadTimeout != 300*time.Millisecond || single.DialTimeout != 500*time.Millisecond || single.PoolTimeout != 500*time.Millisecond ||
		single.MaxRetries != 0 || single.DialerRetries != 1 || !single.ContextTimeoutEnabled || !single.DisableIdentity {
		t.Errorf("settings: %+v", single)
	}
	if o := openAsGiven(t, "redis://localhost").(*goredis.Client).Options(); o.ReadTimeout != 700*time.Millisecond || o.WriteTimeout != 700*time.Millisecond || o.PoolSize < 64 {
		t.Errorf("defaults: %+v", o)
	}
	if o := openAsGiven(t, "rediss://example.com").(*goredis.Client).Options(); o.TLSConfig == nil || o.TLSConfig.ServerName != "example.com" || o.TLSConfig.InsecureSkipVerify {
		t.Error("rediss does not verify a certificate")
	}
	cluster := openAsGiven(t, "rediss+cluster://:secret@a.example:7000?addr=b.example:7001").(*goredis.ClusterClient).Options()
	if fmt.Sprint(cluster.Addrs) != "[a.example:7000 b.example:7001]" || cluster.Password != "secret" || cluster.TLSConfig == nil ||
		!cluster.ContextTimeoutEnabled || cluster.DialerRetries != 1 || cluster.MaxRetries != -1 {
		t.Errorf("cluster: %v, %+v", cluster.Addrs, cluster)
	}
	sentinel := openAsGiven(t, "redis+sentinel://user:secret@127.0.0.1:26379/2?master_name=main&sentinel_password=other").(*goredis.Client).Options()
	if sentinel.Username != "user" || sentinel.Password != "secret" || sentinel.DB != 2 || sentinel.MaxRetries != 0 || !sentinel.ContextTimeoutEnabled {
		t.Errorf("sentinel: %+v", sentinel)
	}
}

// The error does not contain the password.
func TestOpenRefusesInvalidURLs(t *testing.T) {
	for _, url := range []string{"", "redis:", "http://:hunter2@host", "redis+other://:hunter2@host", "redis://:hunter2@host/x", "redis://:hun/ter2@host",
		"redis://:hunter2@host?nonsense=1", "redis://:hunter2@host:port", "redis://:hunter2%@host", "redis+sentinel://:hunter2@host", "+cluster://host",
		"redis+cluster://:hunter2@host?addr=hunter2", "redis+cluster://:hunter2@host?read_only=true", "redis+sentinel://h?master_name=m&replica_only=true",
		"redis+sentinel://:hunter2@host?master_name=m&route_randomly=true", "unix:///tmp/redis.sock", " redis://host",
		"redis://:hunter2@host:0", "redis://:hunter2@host:99999", "redis://:hunter2@host:", "redis://:hunter2@h\u00f6st", "redis+cluster://host?addr=other:99999", "redis+cluster://host/3"} {
		client, err := redis.Open(url)
		if err == nil {
			_ = client.Close()
			t.Errorf("%s was opened", url)
		} else if strings.Contains(err.Error(), "hun") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
}

// The client finds the master again after a failover.
func TestOpenFollowsTheMasterOfSentinel(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "secret")
	sentinel := redistest.StartSentinel(t, "main", server, "secret")
	url := "redis+sentinel://:secret@" + sentinel.Addr + "?master_name=main"
	s := newStore(open(t, url), redis.Config{})
	must(t, s.CheckPolicy(t.Context()))
	must(t, s.Create(t.Context(), entry("g.1")))
	_, err := s.Attempt(t.Context(), "g.1", guess("right"), limited("g.any"))
	must(t, err)
}

func FuzzOpen(f *testing.F) {
	for _, url := range []string{"redis://localhost:6379/0", "redis+sentinel://h:1?master_name=m", "rediss+cluster://u:p@h?addr=i:2", "redis+redis://h"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		client, err := redis.Open(url)
		if err == nil {
			_ = client.Close()
		}
	})
}
