package stack

import (
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
)

// cause explains a log message to the operator.
type cause struct {
	pattern *regexp.Regexp
	advice  string
}

// causes returns the causes in search order: a cause that explains others comes first.
func causes() []cause {
	return []cause{
		{regexp.MustCompile(`No space left on device|Disk quota exceeded`), "the disk is full: make room and start again"},
		{regexp.MustCompile(`Could not reserve enough space|insufficient memory for the Java|Cannot allocate memory|Too small (initial|maximum) heap|java\.lang\.OutOfMemoryError`),
			// not the name of a flag: services log their command line, which contains -XX:+ExitOnOutOfMemoryError
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

// failure reads the log of a service since its start, and returns the last error as logged and the likely cause.
// Without an error last is empty.
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

// lastLine returns the last line of a text.
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

// complaint reports whether a log line is an error.
func complaint(line string) bool {
	for _, mark := range []string{" ERROR ", " FATAL ", "Exception in thread", "Caused by:", "Error:", "level=ERROR", "smartlb: "} {
		if strings.Contains(line, mark) {
			return true
		}
	}
	return false
}

// maxTail limits how much of a log is searched for a reason.
const maxTail = 256 << 10

// tail reads the end of a file, beginning at the offset from. If the file is shorter because it was rotated, it reads
// the end of the whole file.
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
