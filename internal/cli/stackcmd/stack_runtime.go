package stackcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"time"

	deployment "github.com/smartlb/smartlb/deployment/kafka"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/admin"
	"github.com/smartlb/smartlb/internal/kafka/topic"
	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/stack/distribution"
)

// build creates the runtime of a choice.
func (a stackArgs) build(ctx context.Context, env *cli.Env, dir string, c stack.Choice) (stack.Runtime, error) {
	program, err := os.Executable()
	if err != nil {
		return stack.Runtime{}, fmt.Errorf("find the smartlb binary: %w", err)
	}
	version := cli.ReadVersion().Version
	switch c.Runtime {
	case stack.RuntimeJVM:
		java, err := distribution.FindJava(ctx, env.Getenv)
		if err != nil {
			return stack.Runtime{}, err
		}
		home, err := distribution.Open(c.Home)
		if err != nil {
			return stack.Runtime{}, fmt.Errorf("the Kafka installation of the last start is missing: %w", err)
		}
		return stack.NewJVM(stack.JVMConfig{
			Dir: dir, Program: program, Version: version, Home: home, Java: java, Mode: c.Mode, Addresses: c.Addresses, Heap: c.Heap, Plugins: c.Plugins, Secrets: c.Secrets,
			KafkaHealth: serving, ConnectHealth: connectAnswers, UIHealth: answers, Topics: topicsStep(c.Addresses.Kafka),
		})
	case stack.RuntimeDocker:
		found, err := exec.LookPath("docker")
		if err != nil && !errors.Is(err, exec.ErrNotFound) {
			return stack.Runtime{}, err
		}
		return stack.NewDocker(stack.DockerConfig{
			Dir: dir, Program: program, Version: version, Docker: found, Files: deployment.Compose, Mode: c.Mode, Addresses: c.Addresses,
			KafkaHealth: serving, ConnectHealth: connectAnswers, UIHealth: answers, Topics: topicsStep(c.Addresses.Kafka),
		})
	default:
		return stack.NewEmbedded(stack.EmbeddedConfig{
			Dir: dir, Program: program, Version: version, Listen: c.Addresses.Kafka, Internal: c.Addresses.Internal, UI: c.Addresses.UI,
			KafkaHealth: serving, UIHealth: answers,
		}), nil
	}
}

// topicsStep creates the topics of the catalog and waits until producers can write to them. The embedded broker creates
// them itself.
func topicsStep(address string) stack.Step {
	return stack.Step{Name: "create the topics", Run: func(ctx context.Context) (string, error) {
		const topicsTimeout = time.Minute
		ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
		defer cancel()
		client, err := localAdmin(address)
		if err != nil {
			return "", err
		}
		defer client.Close()
		names, err := topic.Parse(deployment.Topics)
		if err != nil {
			return "", err
		}
		done, err := admin.EnsureTopics(ctx, client, names)
		if err != nil {
			return "", err
		}
		if err := admin.AwaitLeaders(ctx, client, slices.Concat(done.Created, done.Existed)); err != nil {
			return "", err
		}
		return fmt.Sprintf("topics: %d created, %d existed", len(done.Created), len(done.Existed)), nil
	}}
}

func localAdmin(address string) (*kafka.Admin, error) {
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout, cfg.DialTimeout = []string{address}, 3*time.Second, time.Second
	return kafka.NewAdmin(cfg)
}

// serving is one health check of a broker. The broker must list topics, including those in must, and each partition
// must have a leader. An open port does not prove that.
func serving(ctx context.Context, address string, must []string) error {
	client, err := localAdmin(address)
	if err != nil {
		return err
	}
	defer client.Close()
	first := admin.CheckServing(ctx, client, must)
	if first == nil || ctx.Err() != nil {
		return first
	}
	const creation = 200 * time.Millisecond // a new topic has a folder before the broker serves it
	ctx, cancel := context.WithTimeout(ctx, creation)
	defer cancel()
	if admin.AwaitLeaders(ctx, client, must) == nil {
		return nil
	}
	return first
}

// answers is one health check of the web UI: it must serve its page.
func answers(ctx context.Context, address string) error { return ask(ctx, "http://"+address+"/") }

// connectAnswers is one health check of Kafka Connect. Connect must list connectors, which it does only after it has
// read its topics.
func connectAnswers(ctx context.Context, address string) error {
	return ask(ctx, "http://"+address+"/connectors")
}

func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
