package distribution

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Maven fetches through the mvn command, so that the user's repository, mirror and credentials apply.
type Maven struct {
	Program string // path of mvn
}

// pom is a project that depends on jars.
type pom struct {
	XMLName      xml.Name     `xml:"http://maven.apache.org/POM/4.0.0 project"`
	Model        string       `xml:"modelVersion"`
	Group        string       `xml:"groupId"`
	Artifact     string       `xml:"artifactId"`
	Version      string       `xml:"version"`
	Packaging    string       `xml:"packaging"`
	Dependencies []dependency `xml:"dependencies>dependency"`
}

type dependency struct {
	Group      string      `xml:"groupId"`
	Artifact   string      `xml:"artifactId"`
	Version    string      `xml:"version"`
	Classifier string      `xml:"classifier,omitempty"`
	Exclusions []exclusion `xml:"exclusions>exclusion,omitempty"`
}

type exclusion struct {
	Group    string `xml:"groupId"`
	Artifact string `xml:"artifactId"`
}

func newPom(needs []dependency) pom {
	return pom{
		Model: "4.0.0", Group: "com.github.smartlb", Artifact: "kafka-distribution", Version: "1", Packaging: "pom", Dependencies: needs,
	}
}

// exactly requests jars without their dependencies.
func exactly(jars []Jar) pom {
	needs := make([]dependency, len(jars))
	for i, j := range jars {
		c, classifier := j.Coordinate()
		needs[i] = dependency{c.Group, c.Artifact, c.Version, classifier, []exclusion{{"*", "*"}}}
	}
	return newPom(needs)
}

// withNeeds requests artifacts and all their dependencies.
func withNeeds(roots []Coordinate) pom {
	needs := make([]dependency, len(roots))
	for i, c := range roots {
		needs[i] = dependency{Group: c.Group, Artifact: c.Artifact, Version: c.Version}
	}
	return newPom(needs)
}

var _ Source = Maven{}

// Fetch implements Source.
func (m Maven) Fetch(ctx context.Context, jars []Jar, work string, got func(Jar)) error {
	known := map[string]Jar{}
	for _, j := range jars {
		known[j.Name()] = j
	}
	into := filepath.Join(work, "maven")
	if err := m.copy(ctx, exactly(jars), work, into, func(file string) {
		if j, ok := known[file]; ok {
			got(j)
		}
	}); err != nil {
		return err
	}
	for _, j := range jars {
		if err := os.Rename(filepath.Join(into, filepath.FromSlash(j.Path)), filepath.Join(work, j.Name())); err != nil {
			return fmt.Errorf("mvn did not bring %s: %w", j.Path, err)
		}
	}
	return nil
}

// copy makes mvn copy a project's dependencies into a folder, in the layout of a repository. It calls downloaded with
// the name of each file that came over the network.
func (m Maven) copy(ctx context.Context, p pom, work, into string, downloaded func(file string)) error {
	text, err := xml.MarshalIndent(p, "", " ")
	if err != nil {
		return err
	}
	file := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, m.Program, "-B", "-f", file, "dependency:copy-dependencies", "-DincludeScope=runtime",
		"-DoutputDirectory="+into, "-Dmdep.useRepositoryLayout=true", "-Dmdep.copyPom=false")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // mvn is a script: this permits ending it together with its Java process
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var words bytes.Buffer
	cmd.Stderr = &words
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("mvn: %w", err)
	}
	failures := readMaven(out, downloaded)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("mvn: %w\n%s", err, strings.TrimSpace(strings.Join(failures, "\n")+"\n"+words.String()))
	}
	return nil
}

// readMaven reads the output of mvn until its end and returns the last errors.
func readMaven(out io.Reader, downloaded func(file string)) (failures []string) {
	const last = 8
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := lines.Text()
		if rest, ok := strings.CutPrefix(text, "Downloaded from "); ok {
			address, _, _ := strings.Cut(rest, " (")
			downloaded(address[strings.LastIndexByte(address, '/')+1:])
		}
		if text, ok := strings.CutPrefix(text, "[ERROR] "); ok && len(failures) < last {
			failures = append(failures, text)
		}
	}
	_, _ = io.Copy(io.Discard, out) // a line that was too long must not stop mvn
	return failures
}

// Relock resolves the roots of a lock again and returns a lock with the jars that they need today. It is for changing a
// version.
func (m Maven) Relock(ctx context.Context, l Lock) (Lock, error) {
	work, err := os.MkdirTemp("", "smartlb-relock")
	if err != nil {
		return Lock{}, err
	}
	defer os.RemoveAll(work)
	into := filepath.Join(work, "jars")
	if err := m.copy(ctx, withNeeds(l.Roots), work, into, func(string) {}); err != nil {
		return Lock{}, err
	}
	next := Lock{Version: l.Version, Roots: l.Roots}
	err = filepath.WalkDir(into, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".jar" {
			return err
		}
		size, sum, err := digest(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(into, path)
		next.Jars = append(next.Jars, Jar{Path: filepath.ToSlash(rel), Size: size, SHA256: sum})
		return err
	})
	return next, err
}
