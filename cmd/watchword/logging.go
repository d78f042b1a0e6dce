package main

import (
	"bytes"
	"io"
	"log"
	"log/slog"
)

// newLogger writes one JSON object a line. Values are escaped, so a line stays a line whatever is in it.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// takeLibraryLogs sends what libraries log of their own accord to the program's log, without their text. It holds for the
// whole process: http.Transport knows no logger but the standard one.
func takeLibraryLogs(to *slog.Logger) {
	log.SetFlags(0) // a date in front would hide what kind of message it is
	log.SetPrefix("")
	log.SetOutput(withheld{to})
	logStores(to)
}

// libraryLogger is for what takes a logger of its own.
func libraryLogger(to *slog.Logger) *log.Logger { return log.New(withheld{to}, "", 0) }

// withheld makes one record of each message that a library logs: its kind, and nothing of its text, which quotes what peers
// send. A receiver of webhooks that answers with the request would put the code there.
type withheld struct{ to *slog.Logger }

// Write takes one message, however many lines it has.
func (w withheld) Write(message []byte) (int, error) {
	w.to.Warn("message of a library withheld", "kind", kindOf(message))
	return len(message), nil
}

// libraryMessages are the beginnings of net/http's messages, the longer ones first. They are constants there.
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

func kindOf(message []byte) string {
	for _, known := range libraryMessages {
		if bytes.HasPrefix(message, []byte(known.beginning)) {
			return known.kind
		}
	}
	return "unknown"
}
