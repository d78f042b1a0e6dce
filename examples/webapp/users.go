package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
)

// A user is what the app knows of a person. Watchword knows only the id, as the subject.
type user struct {
	id, email  string
	salt, hash []byte
}

// users is the app's own table, in memory here.
type users struct {
	mu      sync.Mutex
	byEmail map[string]*user
}

// rounds of PBKDF2 are few, so that the example starts at once; a real app takes hundreds of thousands.
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

// signIn returns the user whose password this is. An unknown one costs as much time.
func (u *users) signIn(email, password string) *user {
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

// A session is what the app remembers of one browser. The challenge that was started stays here and never goes into a
// form, so an attacker cannot replace it.
type session struct {
	user      *user  // signed in
	asked     *user  // gave the password, and is asked for a code
	challenge string // that is open
	sentTo    string // where its code went, as it may be shown
	email     string // the password of which is being reset, whether or not it is known
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

// save stores a session under a new id, so that an id from before signing in is worth nothing afterwards.
func (s *sessions) save(old string, changed session) (id string) {
	id = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, old)
	s.by[id] = changed
	return id
}

// endAll ends every session of a user, in all browsers.
func (s *sessions) endAll(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, open := range s.by {
		if open.user != nil && open.user.id == userID || open.asked != nil && open.asked.id == userID {
			delete(s.by, id)
		}
	}
}
