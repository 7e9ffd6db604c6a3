package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/smartlb/smartlb/internal/stack/broker/salvage"
)

// endingsDir stores the transactions that are being committed, one file for each producer, in case the broker is killed.
// kfake writes the end of a transaction to one partition after the other. Without these files, a kill in between would
// leave a transaction that is committed in some partitions and aborted in the others.
const endingsDir = "ending-transactions"

// endings remembers the transactions that are being committed. When begin returns, its decision is in a file. It is safe
// for concurrent use.
type endings struct {
	dir  string
	mu   sync.Mutex
	open map[int64]bool // producers with a file
}

// loadEndings reads what a kill interrupted. A file that the kill cut short is ignored: kfake had not begun.
func loadEndings(dir string) (*endings, map[int64]salvage.Ending, error) {
	e := &endings{dir: filepath.Join(dir, endingsDir), open: map[int64]bool{}}
	found := map[int64]salvage.Ending{}
	entries, err := os.ReadDir(e.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, f := range entries {
		producer, err := strconv.ParseInt(f.Name(), 10, 64)
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(e.dir, f.Name()))
		if err != nil {
			return nil, nil, err
		}
		var one salvage.Ending
		if json.Unmarshal(raw, &one) == nil {
			found[producer] = one
		}
		e.open[producer] = true
	}
	return e, found, nil
}

// clear forgets everything, once a repair has finished the transactions.
func (e *endings) clear() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.open)
	return os.RemoveAll(e.dir)
}

// begin stores that the broker is about to commit a transaction.
func (e *endings) begin(req *kmsg.EndTxnRequest) error {
	raw, err := json.Marshal(salvage.Ending{Epoch: req.ProducerEpoch, NextEpoch: req.Version >= 5})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(e.path(req.ProducerID), raw, 0o600); err != nil {
		return fmt.Errorf("remember that a transaction is being committed: %w", err)
	}
	e.open[req.ProducerID] = true
	return nil
}

// end forgets a producer: its transaction has ended, or it begins another one.
func (e *endings) end(producer int64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.open[producer] {
		return nil
	}
	delete(e.open, producer)
	return os.Remove(e.path(producer))
}

func (e *endings) path(producer int64) string {
	return filepath.Join(e.dir, strconv.FormatInt(producer, 10))
}
