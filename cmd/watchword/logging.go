package main

import (
	"bytes"
	"io"
	"log"
	"log/slog"
)

// newLogger makes a logger that writes one JSON object a line, and a bounded number of lines of one kind. Line breaks in values are
// escaped.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(newSamplingHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})))
}

// redirectLibraryLogs redirects the logs of libraries to the program's log, without their text. It holds for the whole process,
// because http.Transport only logs to the standard logger.
func redirectLibraryLogs(to *slog.Logger) {
	log.SetFlags(0) // a date before the message would hide its kind
	log.SetPrefix("")
	log.SetOutput(redactingWriter{to})
	setStoreLogger(to)
}

// libraryLogger makes a logger for libraries that accept one.
func libraryLogger(to *slog.Logger) *log.Logger { return log.New(redactingWriter{to}, "", 0) }

// A redactingWriter logs the kind of a library's message without its text. The text may quote a peer's response, and so a code: a
// webhook receiver can answer with the request that it got.
type redactingWriter struct{ to *slog.Logger }

// Write logs one message of any number of lines.
func (w redactingWriter) Write(message []byte) (int, error) {
	w.to.Warn("message of a library withheld", "kind", classifyLibraryMessage(message))
	return len(message), nil
}

// libraryMessages are the constant beginnings of net/http's messages, longer ones first.
var libraryMessages = []struct{ beginning, kind string }{
	{"Unsolicited response received on idle HTTP channel", "unsolicited response on an idle connection"},
	{"http: Accept error", "connection not accepted"},
	{"http: TLS handshake error", "TLS handshake failed"},
	{"http: panic serving", "panic in a handler"},
	{"http2: panic serving", "panic in a handler"},
	{"http2: ", "HTTP/2"},
	{"http: ", "HTTP"},
	{"net/http: ", "HTTP"},
}

func classifyLibraryMessage(message []byte) string {
	for _, known := range libraryMessages {
		if bytes.HasPrefix(message, []byte(known.beginning)) {
			return known.kind
		}
	}
	return "unknown"
}
