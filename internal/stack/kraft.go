package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/stack/properties"
)

// formatName names the archive and the log file of the format step.
const formatName = "format"

// format writes the cluster id into KRaft's storage, once. The id is also stored beside the storage, so that a replaced
// storage is detected.
func (j jvm) format(ctx context.Context) error {
	id, err := j.clusterID()
	if err != nil {
		return err
	}
	meta := filepath.Join(j.data(KafkaName), "meta.properties")
	b, err := os.ReadFile(meta)
	if err == nil {
		return sameCluster(meta, string(b), id)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := j.writeFormatLog(); err != nil {
		return err
	}
	line, err := j.command(formatName, "kafka.tools.StorageTool", "format", "-t", id, "-c", j.conf("server.properties"))
	if err != nil {
		return err
	}
	const timeout = time.Minute
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput()
	if err != nil {
		last, advice := failure(string(out))
		return fmt.Errorf("format the storage: %w: %s\n%s", err, cmp.Or(last, lastLine(string(out))), advice)
	}
	return nil
}

func (j jvm) writeFormatLog() error {
	log := properties.Log{File: filepath.Join(j.Dir, formatName+".log")}
	if j.Home.Major() < 4 {
		return os.WriteFile(j.conf(formatName+".log4j.properties"), []byte(log.Reload4j().String()), 0o600)
	}
	return os.WriteFile(j.conf(formatName+".log4j2.properties"), []byte(log.Log4j2().String()), 0o600)
}

// clusterID reads the cluster id, or generates one.
func (j jvm) clusterID() (string, error) {
	path := filepath.Join(j.root, "cluster-id")
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var raw [16]byte
	for raw[0]>>2 == 0b111110 || raw[0] == 0 { // a leading '-' would be read as an option
		if _, err := rand.Read(raw[:]); err != nil {
			return "", err
		}
	}
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	return id, renameio.WriteFile(path, []byte(id+"\n"), 0o600)
}

// sameCluster checks the cluster id in the storage.
func sameCluster(path, text, id string) error {
	f, err := properties.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if has, _ := f.Get("cluster.id"); has != id {
		return fmt.Errorf("the records in %s are those of cluster %s, this one is %s: bring the right folder back, or delete %s and begin with empty topics",
			filepath.Dir(path), has, id, filepath.Dir(path))
	}
	return nil
}
