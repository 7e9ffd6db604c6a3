package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/properties"
)

// ArchiveConfig defines the services for which class data archives are made.
type ArchiveConfig struct {
	Home distribution.Home
	Java distribution.Java
	Mode properties.Mode

	KafkaHealth   HealthOfKafka
	ConnectHealth func(ctx context.Context, address string) error
}

// MakeArchives makes an archive of class data for each service, by running the service once, and returns the paths of
// the archives that it made. It does nothing if archives for this Java exist. Archives halve the start time and are
// optional: Java runs without an archive that is missing or unsuitable.
func MakeArchives(ctx context.Context, c ArchiveConfig, say func(format string, args ...any)) ([]string, error) {
	stamp := filepath.Join(c.Home.Dir, "cds", "java-"+string(c.Mode))
	if b, err := os.ReadFile(stamp); err == nil && string(b) == c.Java.Version {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(stamp), 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "smartlb-archives")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	free := "127.0.0.1:0"
	at, err := Addresses{Kafka: free, Internal: free, Zookeeper: free, Controller: free, Connect: free}.PickPorts()
	if err != nil {
		return nil, err
	}
	config := JVMConfig{Dir: work, Home: c.Home, Java: c.Java, Mode: c.Mode, Addresses: at, KafkaHealth: c.KafkaHealth, ConnectHealth: c.ConnectHealth, dump: true}
	r, err := NewJVM(config)
	if err != nil {
		return nil, err
	}
	say("making class data archives, so that the services start in half the time (about 15 s, once)")
	began := time.Now()
	quiet := func(string, ...any) {}
	started := r.Start(ctx, quiet)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute) // no process may remain
	defer cancel()
	if err := errors.Join(started, r.Stop(stopping, quiet)); err != nil {
		return nil, err
	}
	var made []string
	j := jvm{JVMConfig: config}
	for _, service := range append(r.Names(), formatName) {
		if path := c.Home.Archive(j.archiveName(service)); fileExists(path) {
			made = append(made, path)
		}
	}
	if len(made) < len(r.Services) {
		return made, fmt.Errorf("%d archives for %d services", len(made), len(r.Services))
	}
	say("made %d archives in %.0f s", len(made), time.Since(began).Seconds())
	return made, renameio.WriteFile(stamp, []byte(c.Java.Version), 0o644)
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
