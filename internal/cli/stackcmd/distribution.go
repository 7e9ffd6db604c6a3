package stackcmd

import (
	"fmt"
	"io/fs"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/properties"
)

// Versions of Kafka by mode. Kafka 3.9 is the last version that supports ZooKeeper.
const (
	versionZookeeper = "3.9.2"
	versionKRaft     = "4.3.1"
)

func versionOf(m properties.Mode) string {
	if m == properties.ModeKRaft {
		return versionKRaft
	}
	return versionZookeeper
}

// parseMode parses --mode.
func parseMode(s string) (properties.Mode, error) {
	switch m := properties.Mode(s); m {
	case properties.ModeZookeeper, properties.ModeKRaft:
		return m, nil
	}
	return "", cli.Usagef("--mode %s: allowed are zookeeper and kraft", s)
}

// lockOf returns the lock of a version that this program can install.
func lockOf(version string) (distribution.Lock, error) {
	b, err := fs.ReadFile(deployment.Locks, "kafka-"+version+".lock")
	if err != nil {
		return distribution.Lock{}, fmt.Errorf("there is no lock file for Kafka %s", version)
	}
	return distribution.ParseLock(string(b))
}
