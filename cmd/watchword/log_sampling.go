package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// The bound of log lines of one kind: maxSameLines in each logWindow, and one more that says how many were left out.
const (
	maxSameLines = 10
	logWindow    = 10 * time.Second
)

// A samplingHandler bounds the log, so that neither a flood of requests nor an unavailable provider fills it. Lines of one kind
// beyond the bound are counted, and a line at the end of the window says how many they were. Lines of the level debug are all
// written.
type samplingHandler struct {
	slog.Handler
	app   string // of the lines of this handler; empty: those that name it themselves
	kinds *lineKinds
}

// A lineKind is what lines have in common that are counted together. Every part has few values: messages are constants of the
// program, and apps are configured.
type lineKind struct {
	level        slog.Level
	message, app string
	status       int64 // of a request
}

// lineKinds are the kinds of lines in their windows.
type lineKinds struct {
	out   slog.Handler // writes the sums
	mu    sync.Mutex
	lines map[lineKind]*lineWindow
}

// A lineWindow is the current window of a kind.
type lineWindow struct {
	began time.Time
	lines int // written and left out
}

func newSamplingHandler(next slog.Handler) slog.Handler {
	return samplingHandler{Handler: next, kinds: &lineKinds{out: next, lines: map[lineKind]*lineWindow{}}}
}

// Handle writes a line, or counts it.
func (h samplingHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo || h.kinds.admit(h.kindOf(r)) {
		return h.Handler.Handle(ctx, r)
	}
	return nil
}

// WithAttrs returns a handler with more attributes, which counts together with this one.
func (h samplingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "app" {
			h.app = a.Value.String()
		}
	}
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

// WithGroup returns a handler with a group, which counts together with this one.
func (h samplingHandler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

func (h samplingHandler) kindOf(r slog.Record) lineKind {
	kind := lineKind{level: r.Level, message: r.Message, app: h.app}
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == "app":
			kind.app = a.Value.String()
		case a.Key == "status" && a.Value.Kind() == slog.KindInt64:
			kind.status = a.Value.Int64()
		}
		return true
	})
	return kind
}

// admit counts a line and reports whether it is written. The first line that is left out schedules the line that says how many
// were.
func (k *lineKinds) admit(kind lineKind) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	w := k.lines[kind]
	if w == nil || w.lines <= maxSameLines && now.Sub(w.began) >= logWindow {
		w = &lineWindow{began: now}
		k.lines[kind] = w
	}
	w.lines++
	if w.lines == maxSameLines+1 {
		time.AfterFunc(logWindow-now.Sub(w.began), func() { k.sumUp(kind) })
	}
	return w.lines <= maxSameLines
}

// sumUp ends a window with a line that says how many were left out.
func (k *lineKinds) sumUp(kind lineKind) {
	k.mu.Lock()
	left := k.lines[kind].lines - maxSameLines
	delete(k.lines, kind)
	k.mu.Unlock()
	r := slog.NewRecord(time.Now(), kind.level, "log lines left out", 0)
	r.AddAttrs(slog.String("of", kind.message), slog.Int("lines", left))
	if kind.app != "" {
		r.AddAttrs(slog.String("app", kind.app))
	}
	if kind.status != 0 {
		r.AddAttrs(slog.Int64("status", kind.status))
	}
	_ = k.out.Handle(context.Background(), r) // as slog.Logger ignores it
}
