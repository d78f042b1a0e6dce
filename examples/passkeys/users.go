package main

import (
	"crypto/rand"
	"sync"

	"github.com/watchword-auth/watchword"
)

// users is the app's own table, in memory here. watchword knows the id alone, as the subject.
type users struct {
	mu      sync.Mutex
	byEmail map[string]string // ids
	byID    map[string]string // addresses
}

// findOrCreate returns the id of whoever has the address: a new one if it was never seen.
func (u *users) findOrCreate(email string) (id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	id, known := u.byEmail[email]
	if !known {
		id = "user_" + rand.Text()
		u.byEmail[email], u.byID[id] = id, email
	}
	return id
}

func (u *users) email(id string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.byID[id]
}

// A session is what the app remembers of one browser. The challenges that were started stay here and never go into a
// form, so nobody can put another one in their place.
type session struct {
	user string // id of who is signed in

	linkChallenge string // challenge that a link answers
	address       string // address that the link was sent to

	keyChallenge string // challenge that a key answers
	purpose      string // of that challenge

	proof *watchword.Claims // a key's, that its owner may change what is enrolled; good for one change
}

// sessions are looked up by a random cookie, and handed out as copies: save stores a changed one.
type sessions struct {
	mu sync.Mutex
	by map[string]session
}

func (s *sessions) get(id string) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[id]
}

// save stores a session. One whose user has changed, or that is new, gets a new id, so that an id from before signing in is
// worth nothing afterwards.
func (s *sessions) save(old string, changed session) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.by[old]
	if known && before.user == changed.user {
		s.by[old] = changed
		return old
	}
	delete(s.by, old)
	id = rand.Text()
	s.by[id] = changed
	return id
}
