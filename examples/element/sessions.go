package main

import (
	"crypto/rand"
	"net/http"
	"sync"

	"github.com/watchword-auth/watchword"
)

// A session is the state of one browser. What it was asked is stored here and never in a form or a URL.
type session struct {
	user    string         // id of who is signed in
	asked   string         // id of the pending verification, or of the challenge that adds a passkey
	handle  watchword.Code // collects its receipt
	address string         // to which code and link are sent
}

// sessions stores sessions by a random cookie.
type sessions struct {
	mu   sync.Mutex
	byID map[string]session
}

const cookie = "session"

// of returns the session of a request.
func (s *sessions) of(r *http.Request) session {
	c, err := r.Cookie(cookie)
	if err != nil {
		return session{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[c.Value]
}

// save stores a session under a new id, so that an id from before the sign-in is invalid afterwards.
func (s *sessions) save(w http.ResponseWriter, r *http.Request, changed session) {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, err := r.Cookie(cookie); err == nil {
		delete(s.byID, c.Value)
	}
	s.byID[id] = changed
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

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
