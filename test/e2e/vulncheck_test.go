package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vulnerabilities makes a folder in the form of the Go vulnerability database,
// with one entry for a function of a module; none where module is empty.
func vulnerabilities(t *testing.T, module, pkg, function string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const id, at = "GO-2026-9999", "2026-11-01T00:00:00Z"
	write("index/db.json", fmt.Sprintf(`{"modified":%q}`, at))
	if module == "" {
		write("index/modules.json", "[]")
		write("index/vulns.json", "[]")
		return dir
	}
	write("index/modules.json", fmt.Sprintf(`[{"path":%q,"vulns":[{"id":%q,"modified":%q}]}]`, module, id, at))
	write("index/vulns.json", fmt.Sprintf(`[{"id":%q,"modified":%q}]`, id, at))
	write("ID/"+id+".json", fmt.Sprintf(`{"schema_version":"1.3.1","id":%q,"modified":%q,"published":%q,"summary":"invented for a test","details":"invented","database_specific":{"url":"https://pkg.go.dev/vuln/%s"},
		"affected":[{"package":{"name":%q,"ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
		"ecosystem_specific":{"imports":[{"path":%q,"symbols":[%q]}]}}]}`, id, at, at, id, module, pkg, function))
	return dir
}

// A release is checked for known vulnerabilities, also on a machine that cannot
// reach the database.
func TestAReleaseIsCheckedAgainstACopyOfTheVulnerabilityDatabase(t *testing.T) {
	t.Parallel()
	check := func(database string, env ...string) (out string, code int) {
		cmd := exec.Command("scripts/vulncheck.sh", "./internal/base/state") // which locks a file with x/sys
		cmd.Dir, cmd.Env = "../..", append(append(cleanEnv(t), "GOVULNDB="+database), env...)
		b, _ := cmd.CombinedOutput()
		return string(b), cmd.ProcessState.ExitCode()
	}
	if out, code := check("file://" + vulnerabilities(t, "", "", "")); code != 0 {
		t.Errorf("without vulnerabilities: exit %d\n%s", code, out)
	}
	bad := "file://" + vulnerabilities(t, "golang.org/x/sys", "golang.org/x/sys/unix", "Flock")
	if out, code := check(bad); code != 1 || !strings.Contains(out, "GO-2026-9999") || !strings.Contains(out, "calls unix.Flock") {
		t.Errorf("with a function that is called: exit %d\n%s", code, out)
	}
	if out, code := check(bad, "VULNCHECK=off"); code != 0 || !strings.Contains(out, "not checked") {
		t.Errorf("switched off: exit %d\n%s", code, out)
	}
	if out, code := check("file://" + t.TempDir() + "/nowhere"); code != 1 || !strings.Contains(out, "GOVULNDB=file:///FOLDER") {
		t.Errorf("without a database: exit %d\n%s", code, out)
	}
}
