package main

import (
	"crypto/rand"
	"sync"
)

// users is the app's user table, in memory. watchword gets the id only, as the subject.
type users struct {
	mu      sync.Mutex
	byEmail map[string]string // ids
	byID    map[string]string // addresses
}

// findOrCreate returns the id of the user with an address, and creates the user if there is none.
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

// A session is the state of one browser. Ids of verifications and challenges are stored here and never in a form, so that a person
// cannot replace them by others.
type session struct {
	user string // id of who is signed in

	link          string // id of the verification that a link answers
	linkChallenge string // id of its challenge, which the link names
	address       string // address that the link was sent to
}

// sessions stores sessions by a random cookie.
type sessions struct {
	mu   sync.Mutex
	byID map[string]session
}

func (s *sessions) get(id string) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// save stores a session. A new session, and one whose user has changed, gets a new id, so that an id from before the sign-in is
// invalid afterwards.
func (s *sessions) save(old string, changed session) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.byID[old]
	if known && before.user == changed.user {
		s.byID[old] = changed
		return old
	}
	delete(s.byID, old)
	id = rand.Text()
	s.byID[id] = changed
	return id
}
