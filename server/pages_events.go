package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/watchword-auth/watchword"
)

// How long a stream of events is silent at most, in which time what lies between notices that it is alive; and how long
// one write may take.
const (
	streamStep  = 5 * time.Second
	streamWrite = 10 * time.Second
)

// events tells the starter's page what happens, by Server-Sent Events: "note" says that a message did not arrive, "part"
// is what to show when the challenge has ended, which ends the stream too. A challenge ends within ten minutes.
func (h *hosted) events(x *exchange) {
	ctx, cancel := x.bounded()
	defer cancel()
	c := h.held(ctx, x)
	if c == nil {
		return
	}
	select {
	case c.pages.streams <- struct{}{}:
		defer func() { <-c.pages.streams }()
	default: // the page asks again
		x.fail(&watchword.Error{Code: watchword.ErrUnavailable.Code, Cause: errStreams})
		return
	}
	x.Header().Set("Content-Type", "text/event-stream")
	x.Header().Set("X-Accel-Buffering", "no") // what lies between shall pass events on at once
	x.WriteHeader(http.StatusOK)
	for h.stream(x, c) == nil {
	}
}

// An ended stream is no failure: it says so to its loop.
type streamEnd string

func (e streamEnd) Error() string { return string(e) }

const (
	errStreams   = streamEnd("too many browsers of this app listen")
	errStreamEnd = streamEnd("the stream is over")
)

// stream waits a step and tells what it saw. An error ends the stream: the browser has gone, the server goes, or the
// challenge has ended.
func (h *hosted) stream(x *exchange, c *holder) error {
	ctx, cancel := context.WithTimeout(x.request.Context(), streamStep)
	defer cancel()
	v, err := c.engine.Wait(ctx, c.id)
	if err != nil {
		return err
	}
	kind, data := "note", any(note(h.words.spoken(v.Locale, x.request), v))
	if v.Status != watchword.Pending {
		c.page = &watchword.Page{View: v}
		name, shown := h.pagePart(x, c.app, c.page)
		if data, err = h.render(name, shown); err != nil {
			return err
		}
		kind = "part"
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if err := x.write(fmt.Sprintf("retry: 500\nevent: %s\ndata: %s\n\n", kind, text)); err != nil {
		return err
	}
	if kind == "part" {
		return errStreamEnd
	}
	return x.request.Context().Err()
}

// write sends a piece of an answer on its way, within its own time.
func (x *exchange) write(text string) error {
	control := http.NewResponseController(x)
	if err := control.SetWriteDeadline(time.Now().Add(streamStep + streamWrite)); err != nil {
		return err
	}
	if _, err := x.Write([]byte(text)); err != nil {
		return err
	}
	return control.Flush()
}
