package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

// Zookeeper is a server's description of itself.
type Zookeeper struct {
	Version string
	Mode    string // standalone, leader, follower, observer, read-only
}

// AskZookeeper sends the four-letter word srvr, the only one that every server answers by default. An error means that
// the server does not serve.
func AskZookeeper(ctx context.Context, address string) (Zookeeper, error) {
	const timeout = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return Zookeeper{}, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return Zookeeper{}, err
	}
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return Zookeeper{}, err
	}
	var z Zookeeper
	lines, first := bufio.NewScanner(conn), ""
	for lines.Scan() {
		line := lines.Text()
		if first == "" {
			first = line
		}
		if v, ok := strings.CutPrefix(line, "Zookeeper version: "); ok {
			z.Version, _, _ = strings.Cut(v, "-")
		}
		if m, ok := strings.CutPrefix(line, "Mode: "); ok {
			z.Mode = strings.TrimSpace(m)
		}
	}
	if err := lines.Err(); err != nil {
		return z, err
	}
	if z.Mode == "" {
		return z, fmt.Errorf("ZooKeeper at %s answers %q", address, first)
	}
	return z, nil
}

// forgetBroker deletes the registration of a broker, and its role as controller, from ZooKeeper. The broker must be
// dead for certain. Both belong to the broker's session and would disappear with it ten seconds later; until then a new
// broker with the same id ends with NodeExists.
func forgetBroker(ctx context.Context, address string, id int) error {
	const timeout = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, events, err := zk.Connect([]string{address}, timeout, zk.WithLogger(silent{}))
	if err != nil {
		return fmt.Errorf("connect to ZooKeeper: %w", err)
	}
	defer conn.Close()
	if err := waitForSession(ctx, events); err != nil {
		return fmt.Errorf("connect to ZooKeeper at %s: %w", address, err)
	}
	for _, path := range []string{fmt.Sprintf("/brokers/ids/%d", id), "/controller"} {
		if err := conn.Delete(path, -1); err != nil && !errors.Is(err, zk.ErrNoNode) {
			return fmt.Errorf("delete %s in ZooKeeper: %w", path, err)
		}
	}
	return nil
}

func waitForSession(ctx context.Context, events <-chan zk.Event) error {
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// silent drops the log of the client library: its errors are returned as well.
type silent struct{}

func (silent) Printf(string, ...any) {}
