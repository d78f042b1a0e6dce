package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

var sentByEmail = watchword.Delivery{Status: watchword.DeliverySent, Provider: "p", Channel: "email"}

// finishFixture is a message that was composed and sent, with the store that notes which messages are done.
func finishFixture(t *testing.T) (k *kit, id string, sent watchword.Outgoing, done *[]string) {
	t.Helper()
	k = newKit(t, func(c *watchword.Config) {
		store := newDirectStore(c)
		c.Store, c.Outbox, done = store, nil, store.done
	})
	s := k.start(startByEmail())
	out := k.outbox.last(s.ID)
	out.Claim = "claim"
	m, err := k.ComposeMessage(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	return k, s.ID, out.Composed(m), done
}

// A message that was sent is done, and its status is stored, whatever has become of its challenge meanwhile.
func TestFinishSendRecordsStatusAndRemovesMessage(t *testing.T) {
	for name, meanwhile := range map[string]func(*kit, string){
		"nothing happened": func(*kit, string) {},
		"canceled":         func(k *kit, id string) { _, _ = k.Cancel(context.Background(), id) },
		"changed elsewhere": func(k *kit, id string) {
			_ = k.newNode().RecordDelivery(context.Background(), watchword.Outgoing{ChallengeID: id, Send: 1}, sentByEmail)
		},
		"sent again": func(k *kit, id string) {
			k.clock.advance(time.Minute)
			_, _ = k.newNode().Resend(context.Background(), id, watchword.ResendRequest{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			k, id, sent, done := finishFixture(t)
			meanwhile(k, id)
			if err := k.FinishSend(t.Context(), sent, sentByEmail); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(*done, "claim") {
				t.Error("the message is not done")
			}
			want := watchword.DeliverySent
			if name == "sent again" {
				want = watchword.DeliveryQueued
			}
			if got := k.deliveryStatus(id); got != want {
				t.Errorf("delivery is %s, want %s", got, want)
			}
		})
	}
}

func TestFinishSendRemovesMessageWhoseStatusIsKnown(t *testing.T) {
	k, id, sent, done := finishFixture(t)
	if err := k.RecordDelivery(t.Context(), sent, sentByEmail); err != nil {
		t.Fatal(err)
	}
	if err := k.FinishSend(t.Context(), sent.IDs(), sentByEmail); err != nil || !slices.Contains(*done, "claim") {
		t.Errorf("%v; done are %v", err, *done)
	}
	if got := k.deliveryStatus(id); got != watchword.DeliverySent {
		t.Errorf("delivery is %s", got)
	}
}

func TestFinishSendFailsWithoutTheStore(t *testing.T) {
	k, id, sent, _ := finishFixture(t)
	k.store.failure = errors.New("the store is down")
	err := k.FinishSend(t.Context(), sent, sentByEmail)
	k.store.failure = nil
	if !errors.Is(err, watchword.ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
	if got := k.deliveryStatus(id); got != watchword.DeliveryQueued {
		t.Errorf("delivery is %s", got)
	}
}

func TestFinishSendIsUnsupportedWhereTheStoreIsNotTheOutbox(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	if err := k.FinishSend(t.Context(), k.outbox.last(s.ID), sentByEmail); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the error is %v", err)
	}
}
