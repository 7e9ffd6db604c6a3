package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// User is a user with a password.
type User struct {
	Name string
	Hash string // bcrypt, of the password
	Role Role
}

// CheckHash returns an error if a text is not a bcrypt hash with an acceptable cost.
func CheckHash(hash string) error {
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil:
		return errors.New("is no bcrypt hash: make one with htpasswd -nBC 12 NAME, or smartlb config hash-password")
	case cost < minCost:
		return fmt.Errorf("has cost %d, which is guessed too fast: at least %d", cost, minCost)
	case cost > maxCost:
		return fmt.Errorf("has cost %d, which takes a login minutes: at most %d", cost, maxCost)
	}
	return nil
}

const (
	minCost  = 10 // 50 ms per guess
	maxCost  = 16
	makeCost = 12
)

// Hash returns the bcrypt hash of a password.
func Hash(password string) (string, error) {
	if len(password) < 8 {
		return "", errors.New("a password needs at least 8 characters")
	}
	b, err := bcrypt.GenerateFromPassword([]byte(password), makeCost)
	if err != nil {
		return "", fmt.Errorf("password: %w", err) // more than 72 bytes
	}
	return string(b), nil
}

// passwords checks names and passwords. It is safe for concurrent use.
type passwords struct {
	users map[string]User
	dummy []byte // hash for unknown names, so that the comparison takes the same time
	turns *turns

	mu    sync.Mutex
	known map[[32]byte]knownLogin // logins by HTTP Basic, which sends the password with every call
}

type knownLogin struct {
	id    Identity
	until time.Time
}

const (
	knownFor   = 5 * time.Minute
	knownSlots = 1000
)

func newPasswords(users []User) (*passwords, error) {
	p := &passwords{users: map[string]User{}, known: map[[32]byte]knownLogin{}, turns: newTurns()}
	cost := 0
	for _, u := range users {
		p.users[u.Name] = u
		if c, err := bcrypt.Cost([]byte(u.Hash)); err == nil {
			cost = max(cost, c)
		}
	}
	if cost == 0 {
		cost = minCost
	}
	var err error
	p.dummy, err = bcrypt.GenerateFromPassword([]byte("no user has this password"), cost)
	return p, err
}

// check compares a password. It takes the same time for names that do not exist. The caller must hold a turn.
func (p *passwords) check(name, password string) (Identity, bool) {
	u, exists := p.users[name]
	hash := []byte(u.Hash)
	if !exists {
		hash = p.dummy
	}
	err := bcrypt.CompareHashAndPassword(hash, []byte(password))
	return Identity{User: u.Name, Role: u.Role}, err == nil && exists
}

func digestOf(name, password string) [32]byte { return sha256.Sum256([]byte(name + "\x00" + password)) }

// recall returns the identity that was accepted earlier with this password.
func (p *passwords) recall(name, password string, now time.Time) (Identity, bool) {
	p.mu.Lock()
	k, ok := p.known[digestOf(name, password)]
	p.mu.Unlock()
	if ok && now.Before(k.until) && subtle.ConstantTimeCompare([]byte(k.id.User), []byte(name)) == 1 {
		return k.id, true
	}
	return Identity{}, false
}

// remember stores the digest of an accepted password for some minutes, for callers that send the password with every
// call.
func (p *passwords) remember(id Identity, password string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= knownSlots {
		clear(p.known)
	}
	p.known[digestOf(id.User, password)] = knownLogin{id, now.Add(knownFor)}
}
