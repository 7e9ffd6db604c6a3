package certs

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// part is what one or two files hold together: a certificate with its key, the authorities of clients, or ticket keys.
type part struct {
	kind    string // for the log
	files   []string
	awaited bool              // the file may come later
	read    func(*part) error // reads the files and puts them to use; after an error nothing has changed

	state []stamp // of files, when they were read last
	bad   error   // why the newest files are not used; nil: they are

	begins, expires time.Time // of the certificate in use that expires first; zero: no certificate expires
}

// stamp tells whether a file has changed.
type stamp struct {
	size int64
	at   time.Time
	mode os.FileMode
}

// refresh reads the files if they have changed since they were read last, and reports whether the result is news. It
// reads refused files each time: another owner, who may let the process read them, does not show in a stamp.
func (p *part) refresh() bool {
	now, before := stamps(p.files), p.bad
	changed := !slices.Equal(now, p.state)
	if !changed && before == nil {
		return false
	}
	p.state, p.bad = now, p.read(p)
	return changed || p.bad == nil || p.bad.Error() != before.Error()
}

func stamps(paths []string) []stamp {
	out := make([]stamp, len(paths))
	for i, path := range paths {
		if st, err := os.Stat(path); err == nil {
			out[i] = stamp{st.Size(), st.ModTime(), st.Mode()}
		}
	}
	return out
}

// maxFile limits a file, in bytes.
const maxFile = 1 << 20

// readFile reads a file that is regular, not empty and not larger than maxFile. Every error names the file.
func readFile(path string) ([]byte, os.FileMode, error) {
	st, err := os.Stat(path) // before the opening, which waits for a writer if path is a named pipe
	if err != nil {
		return nil, 0, err
	}
	switch {
	case st.IsDir():
		return nil, 0, fmt.Errorf("%s: is a directory", path)
	case !st.Mode().IsRegular():
		return nil, 0, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, 0, err
	case len(text) > maxFile:
		return nil, 0, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	case len(strings.TrimSpace(string(text))) == 0:
		return nil, 0, fmt.Errorf("%s: the file is empty", path)
	}
	return text, st.Mode(), nil
}

// blocks returns the PEM blocks of a file. A block that is cut or damaged is an error: encoding/pem skips it.
func blocks(path string, text []byte) ([]*pem.Block, error) {
	var out []*pem.Block
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		out = append(out, b)
	}
	switch begun := bytes.Count(text, []byte("-----BEGIN ")); {
	case begun == 0:
		return nil, fmt.Errorf("%s: the file holds no PEM data", path)
	case len(out) < begun:
		return nil, fmt.Errorf("%s: a PEM block is cut or damaged", path)
	}
	return out, nil
}
