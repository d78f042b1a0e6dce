package main

import (
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/keyfiles"
	"github.com/watchword-auth/watchword/store/memory"
)

// An identity key is random, and replacing it would reset all limits. So the server must start with every key, whatever strategies are
// enabled later. Of 10,000 keys, 15-bit tags would refuse four or five.
func TestNewAcceptsEveryIdentityKeyWithAllStrategies(t *testing.T) {
	t.Parallel()
	a := appSettings{id: "shop", name: "Shop", publicURL: "https://verify.example.com", rpID: "example.com",
		userHandleSecret: watchword.NewCode("0d441cfc676b6a61e0542314382b4ae9")}
	set, err := newStrategies(a, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.strategies) < 6 {
		t.Fatalf("%d strategies, want all that are built in", len(set.strategies))
	}
	addresses, err := delivery.NewAddressPolicy(delivery.Addresses{})
	if err != nil {
		t.Fatal(err)
	}
	ring := sha256.Sum256([]byte("keyring"))
	key, err := watchword.NewKey("1", ring[:])
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New(memory.Config{})
	for i := range uint64(10_000) {
		secret := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("identity"), i))
		identity, err := watchword.NewKey(keyfiles.IdentityKeyID, secret[:])
		if err != nil {
			t.Fatal(err)
		}
		_, err = watchword.New(watchword.Config{App: a.id, Issuer: a.publicURL, Keys: []watchword.Key{key}, Identity: identity, Store: store,
			Factors: newMemoryFactors(), Outbox: delivery.NewQueue(1, nil), Strategies: set.strategies, Addresses: addresses})
		if err != nil {
			t.Errorf("identity key %d: %v", i, err)
		}
	}
}
