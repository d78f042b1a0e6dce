package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// callbacks are the URLs at which providers report the delivery of one app's messages. Each sender has its own:
// {public_url}/callbacks/{app}/{channel}/{sender}, with the sender's id. So processes can take each other's reports, and reports of
// messages that were sent before a reload arrive after it.
type callbacks struct {
	origin string                  // empty: no provider can reach this server
	path   string                  // of the app
	engine *watchword.Engine       // set after the senders are opened, and before the first request is served
	routes map[string]http.Handler // by pattern of http.ServeMux
}

func newCallbacks(a appSettings) *callbacks {
	c := &callbacks{path: "/callbacks/" + a.id + "/", routes: map[string]http.Handler{}}
	if strings.HasPrefix(a.publicURL, "https://") { // an http URL is for this machine only
		c.origin = a.publicURL
	}
	return c
}

// assignURL adds a sender's callback URL to its environment.
func (c *callbacks) assignURL(env delivery.Environment, channel, sender string) delivery.Environment {
	if c.origin != "" {
		env.CallbackURL, env.Report = c.origin+c.path+channel+"/"+sender, c.recordReport
	}
	return env
}

// addRoute adds the callback handler of a sender that was opened with env. A sender that takes no reports has none.
func (c *callbacks) addRoute(sender watchword.Sender, env delivery.Environment) {
	reporter, ok := sender.(delivery.Reporter)
	if !ok {
		return
	}
	handler := reporter.Callbacks()
	if path, ok := strings.CutPrefix(env.CallbackURL, c.origin); ok && path != "" && handler != nil {
		c.routes["POST "+path+"/"] = http.StripPrefix(path, handler)
	}
}

func (c *callbacks) recordReport(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error {
	return c.engine.RecordReport(ctx, o, d)
}
