// Command licences fails if a library that smartlb ships has a licence other than the allowed ones, or none that can be
// recognized. Run it in the project's folder:
//
//	go -C tools run ./licences
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	classifier "github.com/google/licenseclassifier/v2"
	"github.com/google/licenseclassifier/v2/assets"
)

// allowed are the licences, by SPDX identifier, that permit shipping a library inside a binary under another licence.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Zlib"}

func main() {
	err := errors.Join(goModules(".."), npmPackages("../web/package-lock.json"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// goModules checks the modules whose packages are part of the binary or of the public package.
func goModules(root string) error {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", "./cmd/smartlb", "./report/...")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("list modules: %w", err)
	}
	c, err := assets.DefaultClassifier()
	if err != nil {
		return err
	}
	lines := strings.Fields(strings.ReplaceAll(string(out), "\t", "="))
	sort.Strings(lines)
	var wrong []error
	for _, line := range slices.Compact(lines) {
		module, dir, _ := strings.Cut(line, "=")
		if err := folder(c, dir); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", module, err))
		}
	}
	return errors.Join(wrong...)
}

// folder checks the licence files of one module. A module of a larger repository has none of its own, so the folders
// above it count too.
func folder(c *classifier.Classifier, dir string) error {
	for at := dir; strings.Contains(at, "@"); at = filepath.Dir(at) {
		files, _ := filepath.Glob(filepath.Join(at, "[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]*"))
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			known := 0
			for _, m := range c.Match(text).Matches {
				if m.MatchType != "License" {
					continue // a copyright line, or a header
				}
				if !slices.Contains(allowed, m.Name) {
					return fmt.Errorf("licence %s is not one of %s", m.Name, strings.Join(allowed, ", "))
				}
				known++
			}
			if known > 0 {
				return nil
			}
		}
	}
	return errors.New("no licence was recognized")
}

// npmPackages checks the packages that become part of the web UI, by the licence that each declares.
func npmPackages(lock string) error {
	text, err := os.ReadFile(lock)
	if err != nil {
		return err
	}
	var file struct {
		Packages map[string]struct {
			Dev     bool
			License string
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return fmt.Errorf("%s: %w", lock, err)
	}
	var wrong []error
	for name, p := range file.Packages {
		if name != "" && !p.Dev && !slices.Contains(allowed, p.License) {
			wrong = append(wrong, fmt.Errorf("%s: licence %q is not one of %s", name, p.License, strings.Join(allowed, ", ")))
		}
	}
	return errors.Join(wrong...)
}
