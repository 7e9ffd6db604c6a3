package distribution

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Java is a Java runtime.
type Java struct {
	Program string // path
	Version string // as Java reports it, such as 17.0.15
}

// OldestJava is the oldest Java version that runs Kafka 4.
const OldestJava = 17

// Reasons why no Java can be used.
var (
	ErrNoJava  = errors.New("there is no Java: install a Java runtime of version 17 or newer, or set JAVA_HOME")
	ErrOldJava = errors.New("this Java is too old")
)

// Feature returns the first number of the version; 8 for 1.8.
func (j Java) Feature() int {
	v := strings.TrimPrefix(j.Version, "1.")
	end := strings.IndexFunc(v, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(v)
	}
	n, err := strconv.Atoi(v[:end])
	if err != nil {
		return 0
	}
	return n
}

// FindJava finds the Java of JAVA_HOME, else that of the PATH. ErrNoJava and ErrOldJava are the reasons for an error.
func FindJava(ctx context.Context, getenv func(string) string) (Java, error) {
	j := Java{}
	if home := getenv("JAVA_HOME"); home != "" {
		j.Program = filepath.Join(home, "bin", "java")
		if !exists(j.Program) {
			return j, fmt.Errorf("%w (JAVA_HOME is %s, and has no bin/java)", ErrNoJava, home)
		}
	} else {
		found, err := exec.LookPath("java")
		if err != nil {
			return j, ErrNoJava
		}
		j.Program = found
	}
	var err error
	if j.Version, err = j.version(ctx); err != nil {
		return j, err
	}
	if j.Feature() < OldestJava {
		return j, fmt.Errorf("%w: %s is version %s, %d or newer is needed; JAVA_HOME may name another", ErrOldJava, j.Program, j.Version, OldestJava)
	}
	return j, nil
}

// version reads the release file beside the program; without that file it runs the program, which takes a tenth of a
// second.
func (j Java) version(ctx context.Context) (string, error) {
	if program, err := filepath.EvalSymlinks(j.Program); err == nil {
		if v := releaseVersion(filepath.Join(filepath.Dir(filepath.Dir(program)), "release")); v != "" {
			return v, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, j.Program, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w (%s -version: %w)", ErrNoJava, j.Program, err)
	}
	_, rest, _ := strings.Cut(string(out), `version "`)
	v, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return "", fmt.Errorf("%w (%s does not tell its version)", ErrNoJava, j.Program)
	}
	return v, nil
}

func releaseVersion(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), `JAVA_VERSION="`); ok {
			return strings.TrimSuffix(v, `"`)
		}
	}
	return ""
}
