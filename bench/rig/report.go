package rig

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// Report is a page of results under bench/results.
type Report struct {
	Name string // date-name.md and date-name.json
	Body strings.Builder
}

// Printf adds to the page.
func (r *Report) Printf(format string, args ...any) { fmt.Fprintf(&r.Body, format, args...) }

// Versions tells what was measured and on what.
func (r *Report) Versions(command, smartlb string) {
	r.Printf("| | |\n|---|---|\n")
	r.Printf("| date | %s |\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	r.Printf("| command | `%s` |\n", command)
	commit := firstLine("git", "rev-parse", "--short", "HEAD")
	if firstLine("git", "status", "--porcelain", "--untracked-files=no") != "" {
		commit += " with changes"
	}
	r.Printf("| commit of the checkout; of the binary | %s; `%s` |\n", commit, firstLine(smartlb, "version"))
	r.Printf("| Go | %s |\n", runtime.Version())
	r.Printf("| kernel, CPUs | %s, %d |\n", firstLine("uname", "-sr"), runtime.NumCPU())
	for _, p := range [][]string{{"haproxy", "-v"}, {"nginx", "-v"}, {"wrk", "-v"}} {
		if _, err := exec.LookPath(p[0]); err == nil {
			r.Printf("| %s | %s |\n", p[0], number.FindString(firstLine(p[0], p[1:]...)))
		}
	}
	r.Printf("\n")
}

var number = regexp.MustCompile(`\d+\.\d+\.\d+\S*`)

func firstLine(program string, args ...string) string {
	out, _ := exec.Command(program, args...).CombinedOutput() // wrk -v exits with 1
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// Write puts page and raw figures into dir, and the page on stdout.
func (r *Report) Write(dir string, raw any) error {
	fmt.Print(r.Body.String())
	return r.WriteQuiet(dir, raw)
}

// WriteQuiet puts page and raw figures into dir.
func (r *Report) WriteQuiet(dir string, raw any) error {
	base := filepath.Join(dir, time.Now().UTC().Format("2006-01-02")+"-"+r.Name)
	figures, err := json.MarshalIndent(raw, "", " ")
	if err != nil {
		return fmt.Errorf("raw figures: %w", err)
	}
	if err := os.WriteFile(base+".json", append(figures, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(base+".md", []byte(r.Body.String()), 0o644)
}
