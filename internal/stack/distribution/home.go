package distribution

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/smartlb/smartlb/internal/base/state"
)

const (
	libsFolder    = "libs"
	archiveFolder = "cds"
)

// Home is a distribution that can run.
type Home struct {
	Dir       string
	Kafka     string   // version
	Zookeeper string   // version; empty: none
	Jars      []string // paths, sorted
}

// Open finds the distribution in a folder: an installation of Install, or another distribution named by KAFKA_HOME.
func Open(dir string) (Home, error) {
	h := Home{Dir: dir}
	jars, err := filepath.Glob(filepath.Join(dir, libsFolder, "*.jar"))
	if err != nil {
		return h, err
	}
	slices.Sort(jars)
	h.Jars = jars
	for _, j := range jars {
		if m := kafkaJar.FindStringSubmatch(filepath.Base(j)); m != nil {
			h.Kafka = m[1]
		}
		if m := zookeeperJar.FindStringSubmatch(filepath.Base(j)); m != nil {
			h.Zookeeper = m[1]
		}
	}
	if h.Kafka == "" {
		return h, fmt.Errorf("%s: there is no Kafka in its folder %s", dir, libsFolder)
	}
	return h, nil
}

var (
	kafkaJar     = regexp.MustCompile(`^kafka_2\.1\d-(\d[\w.-]*)\.jar$`)
	zookeeperJar = regexp.MustCompile(`^zookeeper-(\d[\w.-]*)\.jar$`)
)

// Major returns the first number of Kafka's version.
func (h Home) Major() int {
	first, _, _ := strings.Cut(h.Kafka, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}

// Archive returns the path of a service's class data archive, whether it exists or not.
func (h Home) Archive(service string) string {
	return filepath.Join(h.Dir, archiveFolder, service+".jsa")
}

// Root returns the folder of all installations: SMARTLB_KAFKA_DIR, or kafka below SMARTLB_STATE_DIR, or smartlb/kafka
// below XDG_DATA_HOME or ~/.local/share.
func Root(getenv func(string) string) (string, error) {
	if d := getenv("SMARTLB_KAFKA_DIR"); d != "" {
		return filepath.Abs(d)
	}
	if d := getenv("SMARTLB_STATE_DIR"); d != "" {
		return filepath.Abs(filepath.Join(d, "distribution"))
	}
	base := state.UserFolder(getenv, "XDG_DATA_HOME", ".local/share")
	if base == "" {
		return "", errors.New("neither SMARTLB_KAFKA_DIR nor XDG_DATA_HOME nor HOME says where to install")
	}
	return filepath.Join(base, "smartlb", "kafka"), nil
}

// At returns the folder of a version below root.
func At(root, version string) string { return filepath.Join(root, version) }

// exists reports whether a path exists.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
