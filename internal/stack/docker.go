package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/stack/properties"
)

// DockerConfig configures the docker runtime: the services of docker-compose.yml run through the command docker
// compose, the web UI as a process of this machine.
type DockerConfig struct {
	Dir       string // state folder
	Program   string // the smartlb binary
	Version   string // version of that binary
	Docker    string // path of the docker command
	Files     fs.FS  // docker-compose.yml and the files that it mounts
	Mode      properties.Mode
	Addresses Addresses

	KafkaHealth   HealthOfKafka
	ConnectHealth func(ctx context.Context, address string) error
	UIHealth      func(ctx context.Context, address string) error
	Topics        Step
}

// ErrNoDocker means that the docker command does not exist.
var ErrNoDocker = errors.New("there is no docker command: install Docker with its compose plugin, or use --runtime jvm")

// NewDocker makes the runtime that uses containers.
func NewDocker(c DockerConfig) (Runtime, error) {
	if c.Docker == "" {
		return Runtime{}, ErrNoDocker
	}
	d := docker{c, filepath.Join(c.Dir, "docker")}
	r := Runtime{Name: RuntimeDocker, Mode: string(c.Mode), Dir: c.Dir, Lacks: "one node, no replication", After: map[string]Step{}}
	kafka := "kafka"
	if c.Mode == properties.ModeKRaft {
		kafka = "kafka-kraft"
	} else {
		r.Services = append(r.Services, &container{docker: d, id: ZookeeperName, name: ZookeeperName, must: true, address: c.Addresses.Zookeeper,
			health: func(ctx context.Context, a string) error { _, err := AskZookeeper(ctx, a); return err }})
	}
	r.Services = append(r.Services, &container{docker: d, id: KafkaName, name: kafka, must: true, address: c.Addresses.Kafka, health: c.KafkaHealth.with(nil)})
	if c.Topics.Run != nil {
		r.After[KafkaName] = c.Topics
	}
	if c.Addresses.Connect != "" {
		connect := "connect"
		if c.Mode == properties.ModeKRaft {
			connect = "connect-kraft"
		}
		r.Services = append(r.Services, &container{docker: d, id: ConnectName, name: connect, address: c.Addresses.Connect, health: c.ConnectHealth})
	}
	if c.Addresses.UI != "" {
		r.Services = append(r.Services, newUI(uiConfig{
			Dir: c.Dir, Program: c.Program, Address: c.Addresses.UI, Version: c.Version, Health: c.UIHealth,
			Broker: func() (string, error) { return dialable(c.Addresses.Kafka), nil },
		}))
	}
	return r, nil
}

type docker struct {
	DockerConfig
	root string // folder for Files
}

// compose runs docker compose with our compose file.
func (d docker) compose(ctx context.Context, args ...string) ([]byte, error) {
	const timeout = 10 * time.Minute // docker may pull images
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	all := []string{"compose", "-p", "smartlb", "-f", filepath.Join(d.root, "docker-compose.yml")}
	if d.Mode == properties.ModeKRaft {
		all = append(all, "--profile", "kraft")
	}
	cmd := exec.CommandContext(ctx, d.Docker, append(all, args...)...)
	cmd.WaitDelay = 5 * time.Second
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("docker compose %s: %w: %s", args[0], err, lastLine(words.String()))
	}
	return out.Bytes(), nil
}

// unpack writes the compose file and the files that it mounts.
func (d docker) unpack() error {
	return fs.WalkDir(d.Files, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(d.root, filepath.FromSlash(path))
		if e.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := fs.ReadFile(d.Files, path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
}

// container is a service of the compose file.
type container struct {
	docker
	id      string // smartlb's name for it
	name    string // name in the compose file
	must    bool
	address string
	health  func(ctx context.Context, address string) error
}

var _ Container = (*container)(nil)

// Container is a service that docker runs and whose log docker stores.
type Container interface {
	Service
	Logs(ctx context.Context, args ...string) *exec.Cmd // the caller runs it
}

// Name implements Service.
func (c *container) Name() string { return c.id }

// Required implements Service.
func (c *container) Required() bool { return c.must }

// Start implements Service.
func (c *container) Start(ctx context.Context) error {
	if err := c.unpack(); err != nil {
		return err
	}
	_, err := c.compose(ctx, "up", "-d", "--no-deps", c.name)
	return err
}

// Stop implements Service. It keeps the volumes.
func (c *container) Stop(ctx context.Context) error {
	if !fileExists(filepath.Join(c.root, "docker-compose.yml")) {
		return nil // never started on this machine
	}
	_, err := c.compose(ctx, "stop", c.name)
	return err
}

// Status implements Service.
func (c *container) Status(ctx context.Context) Status {
	st := Status{Name: c.id, Required: c.must, State: Stopped, Address: dialable(c.address)}
	if !fileExists(filepath.Join(c.root, "docker-compose.yml")) {
		return st
	}
	out, err := c.compose(ctx, "ps", "-a", "--format", "json", c.name)
	if err != nil {
		st.Detail = err.Error()
		return st
	}
	var is struct{ State, Status, Image string }
	if json.Unmarshal(bytes.TrimSpace(out), &is) != nil || is.State == "" {
		return st
	}
	st.Version = is.Image
	switch is.State {
	case "running":
		st.State = Running
	case "created", "restarting":
		st.State, st.Detail = Running, is.Status
		return st
	default:
		if !strings.Contains(is.Status, "(0)") && !strings.Contains(is.Status, "(143)") {
			st.State, st.Detail = Failed, is.Status
		}
		return st
	}
	if err := c.health(ctx, st.Address); err != nil {
		st.Detail = err.Error()
		return st
	}
	st.Healthy = true
	return st
}

// Logs implements Container.
func (c *container) Logs(ctx context.Context, args ...string) *exec.Cmd {
	all := append([]string{"compose", "-p", "smartlb", "-f", filepath.Join(c.root, "docker-compose.yml"), "logs", "--no-log-prefix"}, args...)
	return exec.CommandContext(ctx, c.Docker, append(all, c.name)...)
}
