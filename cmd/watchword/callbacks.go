package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// callbacks are where the providers of one app's senders report what became of messages: each sender has a URL of its
// own, {public_url}/callbacks/{app}/{number}. The number counts the senders in the order of the configuration, so
// processes with the same one serve each other's reports.
type callbacks struct {
	origin string // empty: nobody can report here
	path   string // of the app
	opened int
	engine *watchword.Engine       // made after the senders, and before the first request is served
	mounts map[string]http.Handler // by pattern of the server's mux
}

func newCallbacks(a appSettings) *callbacks {
	c := &callbacks{path: "/callbacks/" + a.id + "/", mounts: map[string]http.Handler{}}
	if strings.HasPrefix(a.publicURL, "https://") { // http is this machine's own, and no provider reaches it
		c.origin = a.publicURL
	}
	return c
}

// lend gives the next sender's environment its URL.
func (c *callbacks) lend(env delivery.Environment) delivery.Environment {
	if c.origin != "" {
		env.CallbackURL, env.Report = c.origin+c.path+strconv.Itoa(c.opened), c.report
	}
	c.opened++
	return env
}

// serve mounts the handler of a sender that was opened with env, if it takes reports.
func (c *callbacks) serve(sender watchword.Sender, env delivery.Environment) {
	reporter, takes := sender.(delivery.Reporter)
	if path, ok := strings.CutPrefix(env.CallbackURL, c.origin); ok && path != "" && takes {
		c.mounts["POST "+path+"/"] = http.StripPrefix(path, reporter.Callbacks())
	}
}

func (c *callbacks) report(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error {
	return c.engine.RecordDelivery(ctx, o, d)
}
