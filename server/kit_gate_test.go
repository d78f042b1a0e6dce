package server_test

import (
	"net/http"
	"strings"
	"sync"
)

// A gate holds requests of a site back, as a slow network does, until a test lets them through.
type gate struct {
	mu     sync.Mutex
	held   string
	opened chan struct{}
}

// hold holds requests whose method and path contain the text, until the returned function is called.
func (g *gate) hold(text string) (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	opened := make(chan struct{})
	g.held, g.opened = text, opened
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.held = ""
		close(opened)
	})
}

func (g *gate) wait(r *http.Request) {
	g.mu.Lock()
	held, opened := g.held, g.opened
	g.mu.Unlock()
	if held == "" || !strings.Contains(r.Method+" "+r.URL.Path, held) {
		return
	}
	select {
	case <-opened:
	case <-r.Context().Done():
	}
}
