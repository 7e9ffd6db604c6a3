package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/smartlb/smartlb/internal/dataplane/action"
)

// Pages is the folder of a node from which responses may take their bodies. The zero value has no folder.
//
// A configuration names files only below this folder. Otherwise a writer of config-updates could read every file of the
// node through the proxy, such as the key of a certificate.
type Pages struct{ Dir string }

// read returns a file below the folder. Symbolic links do not lead out of the folder. A file that is not regular, such as
// a pipe, is refused without waiting for it.
func (p Pages) read(name string) ([]byte, error) {
	if p.Dir == "" {
		return nil, fmt.Errorf("file %s: proxy.pages of this node names no folder", name)
	}
	root, err := os.OpenRoot(p.Dir)
	if err != nil {
		return nil, fmt.Errorf("proxy.pages: %w", err)
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("file %s: not a regular file", name)
	}
	body, err := io.ReadAll(io.LimitReader(f, action.MaxFile+1))
	if err == nil && len(body) > action.MaxFile {
		err = errors.New("larger than 1 MiB")
	}
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", name, err)
	}
	return body, nil
}

// checkPage returns an error for a name that cannot be below the folder.
func checkPage(name string) error {
	if !filepath.IsLocal(name) || len(name) > 255 || hasControl(name) {
		return fmt.Errorf("%.300q: want the name of a file below the folder proxy.pages, such as maintenance.html", name)
	}
	return nil
}
