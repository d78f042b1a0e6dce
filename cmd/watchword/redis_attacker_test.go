package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// These tests play an attacker who has read or write access to Redis, with real servers on a real Redis.

func TestRedisAndDebugLogHoldNoSecrets(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := startNode(t, t.TempDir(), server.URL())
	client := server.Client(t)
	monitored := &syncBuffer{}
	stopMonitor := startMonitor(t, server, monitored)
	started := n.start(func(b object) { b["metadata"] = object{"order": "number-seventeen"}; b["nonce"] = "nonce-of-the-app" })
	id := started.str("id")
	code := n.waitForCode(id)
	n.check(id, wrongCode(code))
	approved := n.check(id, code)
	if approved.status != http.StatusOK {
		t.Fatal(approved.text)
	}
	stopMonitor()
	if !strings.Contains(monitored.String(), "watchword") {
		t.Fatalf("MONITOR printed no command: %q", monitored.String())
	}
	redis := dumpRedis(t, client) + monitored.String()
	_, ticket, _ := strings.Cut(started.str("page_url"), "#")
	secrets := map[string]string{"code": code, "handle": started.str("handle"), "address": "alice@example.com", "subject": "user_42",
		"metadata": "number-seventeen", "nonce": "nonce-of-the-app", "receipt": approved.str("receipt"), "ticket": ticket}
	for name, secret := range secrets {
		if secret == "" {
			t.Fatalf("the reply has no %s", name)
		}
		forms := []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret))}
		for _, form := range forms {
			if strings.Contains(redis, form) {
				t.Errorf("Redis holds the %s", name)
			}
			if name != "subject" && strings.Contains(n.log.String(), form) {
				t.Errorf("the debug log holds the %s", name)
			}
		}
	}
}

// Offsets in the value of an entry; see store/redis/entry.lua.
const (
	stateOffset         = 1
	expiryOffset        = 29
	markLengthOffset    = 45
	digestsLengthOffset = 47
	markOffset          = 51
)

// A redisWriter is an attacker with write access to the Redis of two servers.
type redisWriter struct {
	nodes      []*node
	server     *redistest.Server
	client     *goredis.Client
	challenges int
}

// An attackedChallenge is a pending challenge of which the attacker knows everything.
type attackedChallenge struct{ key, id, handle, code string }

func TestWriteAccessToRedisApprovesNoAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	dir := t.TempDir()
	w := &redisWriter{nodes: []*node{startNode(t, dir, server.URL()), startNode(t, dir, server.URL())}, server: server, client: server.Client(t)}
	t.Run("state set to approved", w.testStateSetToApproved)
	t.Run("digest and mark of MONITOR written into the entry", w.testDigestAndMarkWritten)
	t.Run("copied entry", w.testCopiedEntry)
	t.Run("restored entry", w.testRestoredEntry)
	t.Run("expiry extended", w.testExpiryExtended)
}

// begin starts a challenge for an address of its own, which has its own limits.
func (w *redisWriter) begin(t *testing.T) (c attackedChallenge) {
	t.Helper()
	w.challenges++
	var started reply
	c.key = w.findNewKey(t, func() {
		started = w.nodes[0].start(func(b object) { b["to"] = fmt.Sprintf("person%d@example.com", w.challenges) })
	})
	c.id, c.handle = started.str("id"), started.str("handle")
	c.code = w.nodes[0].waitForCode(c.id)
	awaitRecordedSend(t, w.nodes[0], c.id) // so that no script of the worker changes the entry later
	return c
}

// findNewKey returns the key of the entry that start creates.
func (w *redisWriter) findNewKey(t *testing.T, start func()) string {
	t.Helper()
	keys := func() []string { return w.client.Keys(t.Context(), "*:e:*").Val() }
	before := map[string]bool{}
	for _, key := range keys() {
		before[key] = true
	}
	start()
	for _, key := range keys() {
		if !before[key] {
			return key
		}
	}
	t.Fatal("no entry was created")
	return ""
}

func (w *redisWriter) read(t *testing.T, key string) []byte {
	t.Helper()
	value, err := w.client.Get(t.Context(), key).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func (w *redisWriter) write(t *testing.T, key string, value []byte) {
	t.Helper()
	if err := w.client.Set(t.Context(), key, value, goredis.KeepTTL).Err(); err != nil {
		t.Fatal(err)
	}
}

// expectNotApproved fails if an answer, a status or a redemption shows the challenge as approved at either server.
func (w *redisWriter) expectNotApproved(t *testing.T, c attackedChallenge, answer string) {
	t.Helper()
	for _, n := range w.nodes {
		if r := n.check(c.id, answer); r.status == http.StatusOK || r.str("receipt") != "" {
			t.Errorf("check returned a receipt: %s", r.text)
		}
		if r := n.call("GET", "/v1/challenges/"+c.id, nil); r.str("status") == "approved" {
			t.Errorf("the status is approved")
		}
		r := n.call("POST", "/v1/challenges/"+c.id+"/redeem", object{"handle": c.handle, "purpose": "sign_in", "subject": "user_42"})
		if r.status == http.StatusOK {
			t.Errorf("redeem returned a receipt: %s", r.text)
		}
	}
}

func (w *redisWriter) testStateSetToApproved(t *testing.T) {
	c := w.begin(t)
	value := w.read(t, c.key)
	value[stateOffset] = 1
	w.write(t, c.key, value)
	w.expectNotApproved(t, c, wrongCode(c.code))
}

func (w *redisWriter) testDigestAndMarkWritten(t *testing.T) {
	monitored := &syncBuffer{}
	stopMonitor := startMonitor(t, w.server, monitored)
	c := w.begin(t)
	wrong := wrongCode(c.code)
	w.nodes[0].check(c.id, wrong)
	stopMonitor()
	digest, mark := lastAttempt(t, monitored.String(), c.key)
	v := w.read(t, c.key)
	v[stateOffset], v[markLengthOffset+1] = 1, byte(len(mark))
	sealed := v[markOffset+int(v[markLengthOffset])<<8:]
	forged := append(append([]byte{}, v[:markOffset]...), mark...)
	digestsLength := 2 + len(digest)
	forged[digestsLengthOffset+2], forged[digestsLengthOffset+3] = byte(digestsLength>>8), byte(digestsLength)
	forged = append(append(forged, byte(len(digest)>>8), byte(len(digest))), digest...)
	w.write(t, c.key, append(forged, sealed[34:]...))
	w.expectNotApproved(t, c, wrong)
}

func (w *redisWriter) testCopiedEntry(t *testing.T) {
	target, source := w.begin(t), w.begin(t)
	w.write(t, target.key, w.read(t, source.key))
	w.expectNotApproved(t, target, source.code)
	if r := w.nodes[0].check(source.id, source.code); r.status != http.StatusOK {
		t.Fatalf("the copied challenge is not approved: %s", r.text)
	}
	w.write(t, target.key, w.read(t, source.key))
	w.expectNotApproved(t, target, source.code)
}

func (w *redisWriter) testRestoredEntry(t *testing.T) {
	c := w.begin(t)
	before := w.read(t, c.key)
	if r := w.nodes[0].check(c.id, c.code); r.status != http.StatusOK {
		t.Fatal(r.text)
	}
	w.write(t, c.key, before)
	if r := w.nodes[0].check(c.id, c.code); r.status == http.StatusOK {
		t.Errorf("a second receipt: %s", r.text)
	}
}

// A test of the root package shows with a clock that the encrypted expiry counts.
func (w *redisWriter) testExpiryExtended(t *testing.T) {
	c := w.begin(t)
	value := w.read(t, c.key)
	value[expiryOffset] |= 0x40
	w.write(t, c.key, value)
	if r := w.nodes[0].call("GET", "/v1/challenges/"+c.id, nil); r.str("status") != "pending" {
		t.Errorf("before the expiry: %s", r.text)
	}
	w.expectNotApproved(t, c, wrongCode(c.code))
}
