package enginetest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/watchword-auth/watchword"
)

// An attacker who can read the store and the log finds no secret, in any usual encoding.
func TestAttackerWithStoreAndLogReadAccessFindsNoSecret(t *testing.T) {
	k := newKit(t)
	s := &recordingStore{Store: k.store.Store}
	k.store.Store = s
	var seen bytes.Buffer
	k.store.onAttempt = func(_ string, g []watchword.Guess) {
		for _, guess := range g {
			seen.Write(guess.Digest)
			seen.Write(guess.Mark)
		}
	}
	req := withPage(startByEmail())
	req.Nonce, req.Metadata = "a-nonce-of-the-app", map[string]string{"order": "number-seventeen"}
	started := k.start(req)
	code := k.code(started.ID)
	k.requireCode(k.answerWrong(started.ID), watchword.ErrIncorrectAnswer)
	if err := k.Answer(context.Background(), started.ID, watchword.Answer{Text: code}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	r, err := k.Reserve(context.Background(), "POST /v1/challenges", "key-of-the-app", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Finish(context.Background(), []byte("the-answer")); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.created {
		got, err := s.Store.Get(context.Background(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		seen.WriteString(e.ID)
		for _, part := range slices.Concat(e.Digests, [][]byte{e.Sealed, got.Sealed, got.Mark}) {
			seen.Write(part)
			seen.WriteString(hex.EncodeToString(part))
			seen.WriteString(base64.StdEncoding.EncodeToString(part))
		}
	}
	for name, secret := range map[string]string{"code": code, "handle": started.Handle.Reveal(), "ticket": started.Ticket.Reveal(), "address": alice,
		"subject": subject, "nonce": req.Nonce, "metadata": "number-seventeen", "key": "key-of-the-app", "answer": "the-answer"} {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if bytes.Contains(seen.Bytes(), []byte(form)) {
				t.Errorf("the store holds the %s", name)
			}
			if bytes.Contains(k.log.Bytes(), []byte(form)) {
				t.Errorf("the log holds the %s", name)
			}
		}
	}
}
