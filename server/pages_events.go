package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/watchword-auth/watchword"
)

// The longest time between two events, which keeps proxies from closing the stream, and the time that a write may take.
const (
	streamInterval     = 5 * time.Second
	streamWriteTimeout = 10 * time.Second
)

// serveEvents sends Server-Sent Events to the page of a challenge: "note" has the text about a message that was not
// delivered, and is empty otherwise; "part" has the part of a challenge that has ended, and ends the stream.
func (ps *pageServer) serveEvents(x *exchange) {
	ctx, cancel := x.operationContext()
	defer cancel()
	session := ps.requireSession(ctx, x)
	if session == nil {
		return
	}
	select {
	case session.pages.streams <- struct{}{}:
		defer func() { <-session.pages.streams }()
	default: // the page connects again
		x.writeProblem(&watchword.Error{Code: watchword.ErrUnavailable.Code, Cause: errTooManyStreams})
		return
	}
	x.Header().Set("Content-Type", "text/event-stream")
	x.Header().Set("X-Accel-Buffering", "no") // nginx must not buffer events
	x.WriteHeader(http.StatusOK)
	for ps.streamNext(x, session) == nil {
	}
}

// A streamError is the reason why a stream ends or does not begin.
type streamError string

// Error says why the stream ended.
func (e streamError) Error() string { return string(e) }

const (
	errTooManyStreams = streamError("too many event streams of this app")
	errStreamEnd      = streamError("the stream has ended")
)

// streamNext waits for the end of the challenge, at most streamInterval, and sends an event. An error ends the stream: the
// browser has disconnected, the server shuts down, or the challenge has ended.
func (ps *pageServer) streamNext(x *exchange, session *pageSession) error {
	ctx, cancel := context.WithTimeout(x.request.Context(), streamInterval)
	defer cancel()
	v, err := session.engine.Wait(ctx, session.id)
	if err != nil {
		return err
	}
	kind, data := "note", any(describeDelivery(ps.translations.forLocale(v.Locale, x.request), v))
	if v.Status != watchword.Pending {
		if session.page, err = session.engine.ViewPage(ctx, session.id, session.cookie); err != nil {
			return err
		}
		name, view := ps.choosePart(x, session.app, session.page)
		if data, err = ps.renderPart(name, view); err != nil {
			return err
		}
		kind = "part"
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if err := x.writeEvent(fmt.Sprintf("retry: 500\nevent: %s\ndata: %s\n\n", kind, text)); err != nil {
		return err
	}
	if kind == "part" {
		return errStreamEnd
	}
	return x.request.Context().Err()
}

// writeEvent sends an event with a write deadline of its own.
func (x *exchange) writeEvent(text string) error {
	control := http.NewResponseController(x)
	if err := control.SetWriteDeadline(time.Now().Add(streamInterval + streamWriteTimeout)); err != nil {
		return err
	}
	if _, err := x.Write([]byte(text)); err != nil {
		return err
	}
	return control.Flush()
}
