package app

import (
	"crypto/sha256"
	"os"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Sum identifies the content of a file. The zero value stands for a file that cannot be read.
type Sum [sha256.Size]byte

// SumOf returns the sum of a content.
func SumOf(content []byte) Sum { return sha256.Sum256(content) }

// watchPace is the time between two looks at the file. A look costs one stat call; only a changed file is read. A
// change is applied after one to two paces.
const watchPace = time.Second

// fileWatch finds changes of a file by looking at it. It compares contents, so it makes no difference how the file was
// written: in place, by a rename, by a swapped symbolic link, in a folder that was missing for a while. It is for one
// goroutine.
type fileWatch struct {
	path  string
	taken Sum         // of the content that was applied or refused last
	seen  Sum         // at the last look
	info  os.FileInfo // of the content behind seen; nil: it could not be read
}

func newFileWatch(path string, taken Sum) *fileWatch {
	return &fileWatch{path: path, taken: taken, seen: taken}
}

// changed looks at the file. It reports whether the content is another one than the taken content, and was the same at
// the look before: a file that is being written is not complete yet.
func (w *fileWatch) changed() bool {
	before := w.seen
	w.seen = w.look()
	return w.seen == before && w.seen != w.taken
}

// look returns the sum of the content. It does not read a file whose times and size stayed the same, unless it was
// modified so recently that another write could have the same time.
func (w *fileWatch) look() Sum {
	info, err := os.Stat(w.path)
	if err != nil {
		w.info = nil
		return Sum{}
	}
	if !info.Mode().IsRegular() { // to read a pipe could block
		return w.taken
	}
	if old := w.info; old != nil && os.SameFile(info, old) && info.Size() == old.Size() && info.ModTime().Equal(old.ModTime()) && time.Since(info.ModTime()) > 2*watchPace {
		return w.seen
	}
	content, err := config.ReadFile(w.path)
	if err != nil {
		w.info = nil
		return Sum{}
	}
	w.info = info
	return SumOf(content)
}
