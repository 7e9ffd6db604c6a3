package stack

import (
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
)

// cause is what a message in a log means to who started the service.
type cause struct {
	pattern *regexp.Regexp
	advice  string
}

// causes in the order in which they are looked for: what explains the others
// comes first.
func causes() []cause {
	return []cause{
		{regexp.MustCompile(`No space left on device|Disk quota exceeded`), "the disk is full: make room and start again"},
		{regexp.MustCompile(`Could not reserve enough space|insufficient memory for the Java|Cannot allocate memory|Too small (initial|maximum) heap|java\.lang\.OutOfMemoryError`),
			// not the name of a flag: services log their command line, with -XX:+ExitOnOutOfMemoryError
			"there is not enough memory: give the service another heap (--heap SERVICE=SIZE), or end something else"},
		{regexp.MustCompile(`UnsupportedClassVersionError|Unrecognized VM option`), "this Java is too old or another one: install Java 17 or newer, or set JAVA_HOME"},
		{regexp.MustCompile(`InconsistentClusterIdException|Invalid cluster\.id|does not match stored clusterId`),
			"the records are those of another cluster: ZooKeeper's data was lost or exchanged; bring its folder back, or delete both folders named in the status and begin with empty topics"},
		{regexp.MustCompile(`NodeExistsException|NODEEXISTS`), "ZooKeeper still holds the entry of a broker that was killed, or another broker has the same id; an old entry expires within ten seconds"},
		{regexp.MustCompile(`Address already in use|BindException`), "its port is in use"},
		{regexp.MustCompile(`Failed to acquire lock on file \.lock`), "another broker uses the same folder of records"},
		{regexp.MustCompile(`Could not find or load main class|NoClassDefFoundError|ClassNotFoundException`), "the installation is incomplete: smartlb kafka install repairs it"},
		{regexp.MustCompile(`Timed out waiting for connection|ZooKeeperClientTimeoutException`), "ZooKeeper does not answer"},
		{regexp.MustCompile(`AccessDeniedException|Permission denied`), "a folder may not be written by this user"},
	}
}

// failure reads what a service wrote since it was started, and gives the last
// error in its own words and the likely cause. Without an error last is empty.
func failure(text string) (last, advice string) {
	for _, c := range causes() {
		if at := c.pattern.FindStringIndex(text); at != nil {
			return lineAround(text, at[0]), c.advice
		}
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if complaint(lines[i]) {
			return strings.TrimSpace(lines[i]), ""
		}
	}
	return "", ""
}

// lastLine is the last line of a text.
func lastLine(text string) string {
	text = strings.TrimRight(text, "\n")
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

func lineAround(text string, at int) string {
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	end := strings.IndexByte(text[at:], '\n')
	if end < 0 {
		end = len(text) - at
	}
	return strings.TrimSpace(text[begin : at+end])
}

// complaint reports whether a line of a log is about an error.
func complaint(line string) bool {
	for _, mark := range []string{" ERROR ", " FATAL ", "Exception in thread", "Caused by:", "Error:", "level=ERROR", "smartlb: "} {
		if strings.Contains(line, mark) {
			return true
		}
	}
	return false
}

// maxTail is how much of a log is looked through for a reason.
const maxTail = 256 << 10

// tail reads the end of a file from an offset on; all of its end where the file
// is shorter than that, because it was turned over.
func tail(path string, from int64) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if from > info.Size() {
		from = 0
	}
	from = max(from, info.Size()-maxTail)
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxTail))
	return string(b), err
}
