package action

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/smartlb/smartlb/internal/dataplane/h1"
)

// Basic requires a name and a password (RFC 7617). It is immutable.
type Basic struct {
	Challenge *Headers // of the 401: WWW-Authenticate

	users     map[string][]byte // bcrypt hashes by name
	dummy     []byte            // is compared for names that do not exist, so that they take as long
	passwords *Passwords
}

// NewBasic returns the check of a route. users are bcrypt hashes by name, and realm a text without quotes, backslashes and
// control characters.
func NewBasic(realm string, users map[string]string, p *Passwords) (*Basic, error) {
	challenge, err := NewHeaders([]Edit{{Name: "WWW-Authenticate", Value: `Basic realm="` + realm + `", charset="UTF-8"`}}, nil)
	if err != nil {
		return nil, err
	}
	b := &Basic{Challenge: challenge, users: map[string][]byte{}, passwords: p}
	dearest := 0
	for name, hash := range users {
		b.users[name] = []byte(hash)
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil {
			return nil, err
		}
		if cost > dearest {
			dearest, b.dummy = cost, []byte(hash)
		}
	}
	return b, nil
}

// Login is the result of a check.
type Login uint8

// The results.
const (
	LoginRefused Login = iota // no name and password, or wrong ones
	LoginGood
	LoginBusy // too many passwords are being compared
)

// Limits of a name with its password, in bytes. bcrypt uses no more than 72 bytes of a password.
const (
	maxCredentials = 512
	maxPassword    = 72
)

// Check compares the value of Authorization. A password that was right within the last minutes costs a hash of microseconds.
// Any other one costs bcrypt, and blocks for up to a second while others are compared.
func (b *Basic) Check(authorization []byte, now int64) (user string, r Login) {
	var space [maxCredentials]byte
	scheme, text, _ := bytes.Cut(authorization, []byte(" "))
	text = bytes.TrimLeft(text, " ")
	if !h1.EqualFold(scheme, "basic") || base64.StdEncoding.DecodedLen(len(text)) > maxCredentials {
		return "", LoginRefused
	}
	n, err := base64.StdEncoding.Decode(space[:], text)
	if err != nil {
		return "", LoginRefused
	}
	name, password, ok := bytes.Cut(space[:n], []byte(":"))
	if !ok || len(password) > maxPassword {
		return "", LoginRefused
	}
	hash, exists := b.users[string(name)]
	if !exists {
		hash = b.dummy
	}
	switch r = b.passwords.compare(hash, password, now); {
	case r == LoginGood && !exists:
		return "", LoginRefused
	case r != LoginGood:
		return "", r
	}
	return string(name), LoginGood
}

// Passwords compares passwords with bcrypt hashes for all routes. It remembers right ones for a while, and limits how many
// are compared at the same time, so that wrong passwords do not take all processors. It is safe for concurrent use.
type Passwords struct {
	seed  [sha256.Size]byte
	slots chan struct{}

	mu    sync.Mutex
	known map[[sha256.Size]byte]int64 // until when, by seed, hash and password
}

const (
	knownFor     = 5 * time.Minute
	knownSlots   = 10_000
	waitForSlot  = time.Second
	slotsPerCore = 2 // processors for each comparison at the same time
)

// NewPasswords returns an empty memory.
func NewPasswords() *Passwords {
	p := &Passwords{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/slotsPerCore)), known: map[[sha256.Size]byte]int64{}}
	_, _ = rand.Read(p.seed[:])
	return p
}

// compare reports whether a password has a hash.
func (p *Passwords) compare(hash, password []byte, now int64) Login {
	h := sha256.New()
	h.Write(p.seed[:])
	h.Write(hash) // bcrypt hashes have one length
	h.Write(password)
	var key [sha256.Size]byte
	h.Sum(key[:0])
	if p.knows(key, now) {
		return LoginGood
	}
	select {
	case p.slots <- struct{}{}:
	default:
		wait := time.NewTimer(waitForSlot)
		defer wait.Stop()
		select {
		case p.slots <- struct{}{}:
		case <-wait.C:
			return LoginBusy
		}
	}
	defer func() { <-p.slots }()
	if bcrypt.CompareHashAndPassword(hash, password) != nil {
		return LoginRefused
	}
	p.remember(key, now)
	return LoginGood
}

func (p *Passwords) knows(key [sha256.Size]byte, now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now < p.known[key]
}

func (p *Passwords) remember(key [sha256.Size]byte, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= knownSlots {
		clear(p.known)
	}
	p.known[key] = now + int64(knownFor)
}
