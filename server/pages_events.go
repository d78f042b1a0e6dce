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

// serveEvents sends Server-Sent Events to the page of a challenge: "note" has the note about a message that was not
// delivered or is late, and is empty otherwise; "part" has the part of a challenge that has ended, and ends the stream.
func (ps *pageServer) serveEvents(x *exchange) {
	ctx, cancel := x.operationContext()
	defer cancel()
	if session := ps.requireSession(ctx, x); session != nil {
		ps.stream(x, session.app, func() error { return ps.streamNext(x, session) })
	}
}

// serveVerificationEvents sends the events of a verification's page: as those of a challenge, and "part" also when the state of the
// verification differs from the one of the part that the page shows. The page is open while it reads them, so that the fallback
// may be opened.
func (ps *pageServer) serveVerificationEvents(x *exchange) {
	ps.withVerification(x, func(_ context.Context, session *verificationSession) {
		shown := x.request.URL.Query().Get("state")
		ps.stream(x, session.app, func() error { return ps.streamVerification(x, session, &shown) })
	})
}

// stream sends events with the given function until it returns an error.
func (ps *pageServer) stream(x *exchange, a *app, next func() error) {
	select {
	case a.pages.streams <- struct{}{}:
		defer func() { <-a.pages.streams }()
	default: // the page connects again
		x.writeProblem(&watchword.Error{Code: watchword.ErrUnavailable.Code, Cause: errTooManyStreams})
		return
	}
	x.Header().Set("Content-Type", "text/event-stream")
	x.Header().Set("X-Accel-Buffering", "no") // nginx must not buffer events
	x.WriteHeader(http.StatusOK)
	for next() == nil {
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
	if v.Status == watchword.Pending {
		return x.writeEvent("note", ps.describeDelivery(session.pages.texts.forLocale(v.Locale, x.request), v))
	}
	if session.page, err = session.engine.ViewPage(ctx, session.id, session.cookie); err != nil {
		return err
	}
	name, view := ps.choosePart(x, session.app, session.page)
	return ps.writeLastEvent(x, name, view)
}

// streamVerification waits for the end of the verification, at most streamInterval, and sends an event, as streamNext does. A part
// replaces the shown state.
func (ps *pageServer) streamVerification(x *exchange, session *verificationSession, shown *string) error {
	ctx, cancel := context.WithTimeout(x.request.Context(), streamInterval)
	defer cancel()
	v, err := session.engine.WaitVerification(ctx, session.id)
	if err != nil {
		return err
	}
	current := verificationState(v)
	if v.Status == watchword.Pending && current == *shown {
		note := deliveryNote{}
		if v.Challenge != nil {
			note = ps.describeDelivery(session.pages.texts.forLocale(v.Locale, x.request), v.Challenge.View)
		}
		return x.writeEvent("note", note)
	}
	reading, stop := x.operationContext()
	defer stop()
	if session.page, err = session.engine.ViewVerificationPage(reading, session.id, session.cookie); err != nil {
		return err
	}
	name, view := ps.chooseVerificationPart(x, session)
	if view.final {
		return ps.writeLastEvent(x, name, view)
	}
	*shown = view.state
	p, err := ps.renderPart(name, view)
	if err != nil {
		return err
	}
	return x.writeEvent("part", p)
}

// writeLastEvent sends the part of a challenge or verification that has ended, and ends the stream.
func (ps *pageServer) writeLastEvent(x *exchange, name string, v *partView) error {
	p, err := ps.renderPart(name, v)
	if err == nil {
		err = x.writeEvent("part", p)
	}
	if err == nil {
		err = errStreamEnd
	}
	return err
}

// writeEvent sends an event with a write deadline of its own. It returns an error if the browser has disconnected.
func (x *exchange) writeEvent(kind string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	control := http.NewResponseController(x)
	if err := control.SetWriteDeadline(time.Now().Add(streamInterval + streamWriteTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(x, "retry: 500\nevent: %s\ndata: %s\n\n", kind, text); err != nil {
		return err
	}
	if err := control.Flush(); err != nil {
		return err
	}
	return x.request.Context().Err()
}
