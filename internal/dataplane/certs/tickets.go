package certs

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// maxTicketKeys limits the keys of a file. Each ticket that no key opens costs a look at all of them.
const maxTicketKeys = 16

// wideMode are the permissions that a file of ticket keys should not have: every user can read it, or a group can
// change it.
const wideMode = os.FileMode(0o027)

// takeTicketKeys puts the keys of session tickets to use. crypto/tls encrypts with the first key and decrypts with all.
func (s *Set) takeTicketKeys(*part) error {
	keys, mode, err := readTicketKeys(s.cfg.TicketKeys)
	if err != nil {
		return err
	}
	if mode.Perm()&wideMode != 0 {
		s.cfg.Log.Warn("the permissions of a file of ticket keys are too wide: a reader of the keys can decrypt recorded connections and claim the name of a client", "file", s.cfg.TicketKeys, "mode", mode.Perm().String(), "fix", "chmod 600 "+s.cfg.TicketKeys)
	}
	s.tls.SetSessionTicketKeys(keys)
	return nil
}

// readTicketKeys reads a file with one key of 32 bytes in each line, in hexadecimal digits or in base64. Empty lines are
// skipped. No error shows a part of the file.
func readTicketKeys(path string) (keys [][32]byte, _ os.FileMode, _ error) {
	text, mode, err := readFile(path)
	if err != nil {
		return nil, 0, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := ticketKey(line)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		if keys = append(keys, key); len(keys) > maxTicketKeys {
			return nil, 0, fmt.Errorf("%s: more than %d keys: remove the oldest at the end", path, maxTicketKeys)
		}
	}
	return keys, mode, nil
}

var errTicketKey = errors.New("want a key of 32 random bytes: 64 hexadecimal digits, or 44 characters of base64")

func ticketKey(line string) (key [32]byte, _ error) {
	raw, err := hex.DecodeString(line)
	if err != nil {
		raw, err = base64.StdEncoding.Strict().DecodeString(line)
	}
	if err != nil || len(raw) != len(key) {
		return key, errTicketKey
	}
	key = [32]byte(raw)
	if key == [32]byte{} {
		return key, errTicketKey
	}
	return key, nil
}
