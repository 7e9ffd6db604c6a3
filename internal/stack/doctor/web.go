package doctor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/kafka/connect"
)

// look requests ZooKeeper's mode with the one four-letter word that works without configuration. A server without a
// quorum accepts connections but does not serve.
func (z *ZooKeeper) look(ctx context.Context, limit time.Duration) {
	conn, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "tcp", z.Address)
	if err != nil {
		z.Problem = plain(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := io.WriteString(conn, "srvr"); err != nil {
		z.Problem = plain(err)
		return
	}
	var said strings.Builder
	for lines := bufio.NewScanner(io.LimitReader(conn, 64<<10)); lines.Scan(); {
		said.WriteString(lines.Text() + " ")
		if mode, ok := strings.CutPrefix(lines.Text(), "Mode: "); ok {
			z.Mode = strings.TrimSpace(mode)
		}
	}
	text := strings.TrimSpace(said.String())
	switch {
	case z.Mode != "":
	case strings.Contains(text, "not currently serving"):
		z.Problem = "it runs and does not serve: its ensemble has no majority"
	case text == "":
		z.Problem = "something listens there that is not ZooKeeper"
	default:
		z.Problem = fmt.Sprintf("answers %.80q, which tells no mode", text)
	}
}

// plain shortens network errors.
func plain(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

// fetch gets a page and returns its status and body.
func fetch(ctx context.Context, limit time.Duration, url string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, body, err
}

// look requests the page of the web UI.
func (w *Web) look(ctx context.Context, limit time.Duration) {
	status, body, err := fetch(ctx, limit, "http://"+w.Address+"/")
	if err != nil {
		w.Problem = plain(err)
		return
	}
	w.Status, w.Ours = status, strings.Contains(strings.ToLower(string(body)), "smartlb")
}

// look requests the identity of a Connect worker and the states of its connectors.
func (c *Connect) look(ctx context.Context, limit time.Duration) {
	status, body, err := fetch(ctx, limit, "http://"+c.Address+"/")
	if err != nil {
		c.Problem = plain(err)
		return
	}
	var worker struct {
		Version string `json:"version"`
		Cluster string `json:"kafka_cluster_id"`
	}
	if json.Unmarshal(body, &worker) != nil || worker.Version == "" {
		c.Problem = fmt.Sprintf("answers with %d, and is no Connect worker", status)
		return
	}
	c.Version, c.Cluster = worker.Version, worker.Cluster
	status, body, err = fetch(ctx, limit, "http://"+c.Address+"/connectors?expand=status&expand=info")
	if err != nil {
		c.Problem = plain(err)
		return
	}
	type state struct {
		ID    int    `json:"id"`
		State string `json:"state"`
	}
	var all map[string]struct {
		Status struct {
			Type      string  `json:"type"`
			Connector state   `json:"connector"`
			Tasks     []state `json:"tasks"`
		} `json:"status"`
		Info struct {
			Config map[string]string `json:"config"`
		} `json:"info"`
	}
	if json.Unmarshal(body, &all) != nil {
		c.Problem = fmt.Sprintf("does not list its connectors (%d): it starts, or cannot use its topics", status)
		return
	}
	for name, one := range all {
		named := connect.MissingTopics(one.Status.Type, one.Info.Config, func(string) bool { return false })
		if len(named) > 0 && one.Status.Connector.State == "RUNNING" {
			c.Waiting[name] = named
		}
		if one.Status.Connector.State == "FAILED" {
			c.Failed = append(c.Failed, name)
		}
		for _, task := range one.Status.Tasks {
			if task.State == "FAILED" {
				c.Failed = append(c.Failed, fmt.Sprintf("%s/%d", name, task.ID))
			}
		}
	}
	slices.Sort(c.Failed)
}
