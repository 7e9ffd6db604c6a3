package stack

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PortOwner finds the process that listens on a TCP port of this machine. It
// sees only processes whose descriptors the caller may read.
func PortOwner(port int) (pid int, name string, ok bool) {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listeners(table, port, inodes)
	}
	if len(inodes) == 0 {
		return 0, "", false
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well formed
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !inodes[target] {
			continue
		}
		id := strings.Split(link, "/")[2]
		if pid, err = strconv.Atoi(id); err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join("/proc", id, "comm"))
		if err != nil {
			return pid, "unknown", true
		}
		return pid, strings.TrimSpace(string(comm)), true
	}
	return 0, "", false
}

// listeners adds the sockets of a table of proc(5) that listen on a port, as
// descriptors name them.
func listeners(table string, port int, into map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	const listening = "0A"
	for in := bufio.NewScanner(f); in.Scan(); {
		fields := strings.Fields(in.Text())
		if len(fields) < 10 || fields[3] != listening {
			continue
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			into["socket:["+fields[9]+"]"] = true
		}
	}
}
