package distribution

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// Source fetches jars. Fetch writes each jar under its name into the folder work and then calls got; the caller
// verifies the jars. It ends soon after ctx.
type Source interface {
	Fetch(ctx context.Context, jars []Jar, work string, got func(Jar)) error
}

// Progress is the progress of an installation.
type Progress struct {
	Version   string
	Jars, Of  int
	Bytes, In int64
}

// Installed is the result of Install.
type Installed struct {
	Version string `json:"version"`
	Dir     string `json:"dir"`
	Jars    int    `json:"jars"`    // in all
	Fetched int    `json:"fetched"` // by this call
	Bytes   int64  `json:"bytes"`   // in all
}

// Install makes dir contain the jars of a lock. Correct jars stay, so that an interrupted installation continues;
// incorrect jars are fetched again. Install refuses a fetched jar that is incorrect; the error names it.
func Install(ctx context.Context, l Lock, dir string, from Source, tell func(Progress)) (Installed, error) {
	done := Installed{Version: l.Version, Dir: dir, Jars: len(l.Jars), Bytes: l.Size()}
	libs := filepath.Join(dir, libsFolder)
	if err := os.MkdirAll(libs, 0o755); err != nil {
		return done, fmt.Errorf("install: %w", err)
	}
	wrong := verify(l.Jars, libs)
	missing := slices.DeleteFunc(slices.Clone(l.Jars), func(j Jar) bool { return wrong[j.Name()] == nil })
	if len(missing) == 0 {
		return done, nil
	}
	if from == nil {
		return done, fmt.Errorf("install Kafka %s: %d jars are missing, and there is nowhere to fetch them from", l.Version, len(missing))
	}
	p := Progress{Version: l.Version, Jars: len(l.Jars) - len(missing), Of: len(l.Jars), In: l.Size()}
	for _, j := range l.Jars {
		if wrong[j.Name()] == nil {
			p.Bytes += j.Size
		}
	}
	tell(p)
	work, err := os.MkdirTemp(dir, ".fetch") // on the same file system, so that renames are atomic
	if err != nil {
		return done, fmt.Errorf("install: %w", err)
	}
	defer os.RemoveAll(work)
	fetched := from.Fetch(ctx, missing, work, func(j Jar) {
		p.Jars++
		p.Bytes += j.Size
		tell(p)
	})
	n, err := keep(missing, work, libs, fetched == nil)
	done.Fetched = n
	if err := errors.Join(fetched, err); err != nil {
		return done, fmt.Errorf("install Kafka %s: %w", l.Version, err)
	}
	return done, nil
}

// keep moves the correct fetched jars. With all, a missing jar is an error; without, the fetch failed and the jars
// fetched so far are kept.
func keep(jars []Jar, work, libs string, all bool) (n int, err error) {
	wrong := verify(jars, work)
	var errs []error
	for _, j := range jars {
		err := wrong[j.Name()]
		if err == nil {
			err = os.Rename(filepath.Join(work, j.Name()), filepath.Join(libs, j.Name()))
		}
		switch {
		case err == nil:
			n++
		case all:
			errs = append(errs, fmt.Errorf("%s: %w", j.Path, err))
		}
	}
	return n, errors.Join(errs...)
}

// errDiffers means that a file is not the file that the lock names.
var errDiffers = errors.New("is not the file that the lock names")

// verify checks jars in a folder and returns the errors by name.
func verify(jars []Jar, dir string) map[string]error {
	found := make([]error, len(jars))
	var group sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := range next {
				found[i] = check(jars[i], filepath.Join(dir, jars[i].Name()))
			}
		})
	}
	for i := range jars {
		next <- i
	}
	close(next)
	group.Wait()
	wrong := map[string]error{}
	for i, err := range found {
		if err != nil {
			wrong[jars[i].Name()] = err
		}
	}
	return wrong
}

func check(j Jar, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return errors.Unwrap(err) // the caller adds the path
	}
	if info.Size() != j.Size {
		return fmt.Errorf("%w: %d bytes instead of %d", errDiffers, info.Size(), j.Size)
	}
	_, sum, err := digest(path)
	if err == nil && sum != j.SHA256 {
		err = fmt.Errorf("%w: SHA-256 %s instead of %s", errDiffers, sum, j.SHA256)
	}
	return err
}

func digest(path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// Complete reports whether all jars are in dir with the right sizes; Install also checks their content.
func Complete(l Lock, dir string) bool {
	for _, j := range l.Jars {
		info, err := os.Stat(filepath.Join(dir, libsFolder, j.Name()))
		if err != nil || info.Size() != j.Size {
			return false
		}
	}
	return true
}

// Clear removes the files that a killed installation left.
func Clear(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, ".fetch*"))
	if err != nil {
		return err
	}
	for _, d := range left {
		if err := os.RemoveAll(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
