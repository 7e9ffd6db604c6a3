package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/event"
)

// link is the end of a node's chain.
type link struct {
	seq  uint64
	hash string // hash of the latest record's value; empty: a chain begins
}

// newLink begins a chain. Its number is higher than those of the node's earlier chains, which began at an earlier time.
func newLink() link { return link{seq: uint64(time.Now().UnixMilli())} }

// append makes a the next record of the chain and returns the record's value.
func (l link) append(a event.AuditLog) (link, []byte) {
	a.Seq, a.Prev = l.seq+1, l.hash
	value := a.AppendJSON(nil)
	return link{a.Seq, hashOf(value)}, value
}

func hashOf(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

// chainFormat increases when an older program could not read the file.
const chainFormat = 1

// chainFile holds the end of a chain and the record that was being delivered.
type chainFile struct {
	Format  int             `json:"format"`
	Seq     uint64          `json:"seq"`
	SHA256  string          `json:"sha256"`
	Pending json.RawMessage `json:"pending,omitempty"`
}

func chainPath(dir string) string { return filepath.Join(dir, "audit-chain.json") }

func (l link) save(dir string, pending []byte) error {
	if dir == "" {
		return nil
	}
	b, err := json.Marshal(chainFile{chainFormat, l.seq, l.hash, nil})
	if err != nil {
		return err
	}
	if pending != nil { // unchanged: json.Marshal would write another form
		b = append(append(append(bytes.TrimSuffix(b, []byte("}")), `,"pending":`...), pending...), '}')
	}
	return renameio.WriteFile(chainPath(dir), b, 0o600)
}

func loadLink(dir string) (l link, pending []byte, err error) {
	b, err := os.ReadFile(chainPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return newLink(), nil, nil
	}
	if err != nil {
		return newLink(), nil, err
	}
	var f chainFile
	if err := json.Unmarshal(b, &f); err != nil {
		return newLink(), nil, fmt.Errorf("%s: %w", chainPath(dir), err)
	}
	if f.Format != chainFormat {
		return newLink(), nil, fmt.Errorf("%s has format %d, this smartlb reads %d", chainPath(dir), f.Format, chainFormat)
	}
	if len(f.Pending) > 0 {
		if hashOf(f.Pending) != f.SHA256 {
			return newLink(), nil, fmt.Errorf("%s: the record in it is not the chain's last", chainPath(dir))
		}
		pending = f.Pending
	}
	return link{f.Seq, f.SHA256}, pending, nil
}
