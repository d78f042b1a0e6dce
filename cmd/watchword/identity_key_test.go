package main

import (
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/store/memory"
)

// An identity key is random and cannot be replaced without fresh budgets, so none may be one that a server does not start
// with: not today, and not when passkeys are added later. Of 10,000 keys 15-bit tags refused four or five.
func TestNewAcceptsEveryIdentityKeyWithAllStrategies(t *testing.T) {
	a := appSettings{id: "shop", name: "Shop", publicURL: "https://verify.example.com", rpID: "example.com",
		userHandleSecret: watchword.NewCode("0d441cfc676b6a61e0542314382b4ae9")}
	o, err := newStrategies(a, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if len(o.strategies) < 6 {
		t.Fatalf("%d strategies, want all that are built in", len(o.strategies))
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
		identity, err := watchword.NewKey(identityKeyID, secret[:])
		if err != nil {
			t.Fatal(err)
		}
		_, err = watchword.New(watchword.Config{App: a.id, Issuer: a.publicURL, Keys: []watchword.Key{key}, Identity: identity, Store: store,
			Factors: newMemoryFactors(), Outbox: delivery.NewQueue(1, nil), Strategies: o.strategies, Addresses: addresses})
		if err != nil {
			t.Errorf("identity key %d: %v", i, err)
		}
	}
}
