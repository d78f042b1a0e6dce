package main

import (
	"io"
	"log/slog"
)

// newLogger writes one JSON object a line. Values are escaped, so a line stays a line whatever is in it.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}
