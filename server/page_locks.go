package server

import (
	"context"
	"sync"

	"github.com/watchword-auth/watchword"
)

// pageLocks let one request at a time read the state of a page, so that a page that asks very often costs the store no more reads at
// the same time than any other. The zero value is ready for use.
type pageLocks struct {
	mu    sync.Mutex
	pages map[pageKey]*pageLock
}

// A pageLockError is the reason why a page was not read.
type pageLockError string

// Error says why the page was not read.
func (e pageLockError) Error() string { return string(e) }

const errPageBusy = pageLockError("too many requests of this page wait")

// A pageKey names a page in one browser. With the secret in it, nobody else can make the browser's requests wait.
type pageKey struct{ id, cookie string }

type pageLock struct {
	held  chan struct{} // holds one element while a request reads
	users int           // requests that read or wait
}

// lock waits until no other request reads the page, and then reports true. It reports false if the context ends before. The caller calls
// unlock in either case.
func (l *pageLocks) lock(ctx context.Context, page pageKey) (locked bool, unlock func()) {
	p := l.enter(page)
	select {
	case p.held <- struct{}{}:
		return true, func() {
			<-p.held
			l.leave(page)
		}
	case <-ctx.Done():
		return false, func() { l.leave(page) }
	}
}

// lockPage waits until no other request of the browser reads the page. The error is ErrUnavailable if that takes too long.
func (ps *pageServer) lockPage(x *exchange, id, secret string) (unlock func(), err error) {
	waiting, stop := context.WithTimeout(x.request.Context(), operationTimeout)
	defer stop()
	locked, unlock := ps.pageLocks.lock(waiting, pageKey{id, secret})
	if !locked {
		unlock()
		return nil, &watchword.Error{Code: watchword.ErrUnavailable.Code, Cause: errPageBusy}
	}
	return unlock, nil
}

func (l *pageLocks) enter(page pageKey) *pageLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pages == nil {
		l.pages = map[pageKey]*pageLock{}
	}
	p := l.pages[page]
	if p == nil {
		p = &pageLock{held: make(chan struct{}, 1)}
		l.pages[page] = p
	}
	p.users++
	return p
}

// leave forgets the page after its last request.
func (l *pageLocks) leave(page pageKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pages[page].users--; l.pages[page].users == 0 {
		delete(l.pages, page)
	}
}
