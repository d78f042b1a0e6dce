package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"

	"github.com/watchword-auth/watchword"
)

// A user is a row of the app's user table. watchword gets the id only, as the subject.
type user struct {
	id, email  string
	salt, hash []byte
}

// users is the app's user table, in memory.
type users struct {
	mu      sync.Mutex
	byEmail map[string]*user
}

// rounds is the number of PBKDF2 rounds. It is low, so that the example starts fast; a real app uses hundreds of thousands.
const rounds = 10_000

func (u *users) add(id, email, password string) error {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return err
	}
	hash, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.byEmail[email] = &user{id: id, email: email, salt: salt, hash: hash}
	return nil
}

func (u *users) find(email string) *user {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.byEmail[email]
}

// checkPassword returns the user with the address and password, or nil. It takes as long for an unknown address.
func (u *users) checkPassword(email, password string) *user {
	known := u.find(email)
	compared := known
	if compared == nil {
		compared = &user{salt: make([]byte, 16), hash: make([]byte, sha256.Size)}
	}
	hash, err := pbkdf2.Key(sha256.New, password, compared.salt, rounds, sha256.Size)
	if err != nil || subtle.ConstantTimeCompare(hash, compared.hash) != 1 {
		return nil
	}
	return known
}

// A session is the state of one browser. What it was asked is stored here and never in a form or a URL, so that nobody can replace
// it by something else.
type session struct {
	user        *user          // who is signed in
	pendingUser *user          // whose password was right and who must take the second step
	asked       string         // id of the pending verification or challenge
	handle      watchword.Code // collects its receipt when the browser comes back from a hosted page

	resetting bool   // the verification is for a password reset
	email     string // whose, of a user or not
	sentTo    string // masked address of its code
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

// save stores a session under a new id, so that an id from before the sign-in is invalid afterwards.
func (s *sessions) save(old string, changed session) (id string) {
	id = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, old)
	s.byID[id] = changed
	return id
}

// endAll ends all sessions of a user.
func (s *sessions) endAll(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, open := range s.byID {
		if open.user != nil && open.user.id == userID || open.pendingUser != nil && open.pendingUser.id == userID {
			delete(s.byID, id)
		}
	}
}
