package main

import (
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// BenchmarkMetrics measures what counting costs for one request, one event and one try of a sender.
func BenchmarkMetrics(b *testing.B) {
	m := newMetrics()
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.ObserveRequest("POST", "/v1/challenges", 201, time.Millisecond)
		}
	})
	b.Run("event", func(b *testing.B) {
		b.ReportAllocs()
		e := watchword.Event{Type: watchword.EventStarted, App: "shop"}
		for b.Loop() {
			m.countEvent(e)
		}
	})
	b.Run("try", func(b *testing.B) {
		b.ReportAllocs()
		observe := m.delivery.tryObserver("shop")
		try := delivery.Try{Sender: delivery.RouteSender{Channel: "sms", Provider: "twilio"}, Result: delivery.TryAccepted, Waited: time.Millisecond, Took: time.Second}
		for b.Loop() {
			observe(try)
		}
	})
}
