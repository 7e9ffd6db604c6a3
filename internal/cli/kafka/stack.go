package kafka

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/ops"
	"github.com/smartlb/smartlb/internal/stack"
)

// stackArgs are the flags of the verbs about the local stack.
type stackArgs struct {
	listen   string
	internal string
	ui       string
}

// Addresses of a stack that was not told others.
const (
	defaultListen   = "127.0.0.1:9092"
	defaultInternal = "127.0.0.1:29092"
	defaultUI       = "127.0.0.1:8083"
)

func (a *stackArgs) flags(f *pflag.FlagSet) {
	f.StringVar(&a.listen, "broker-listen", "", "`address` of the broker for clients; port 0 picks one (default "+defaultListen+", for restart that of the last start)")
	f.StringVar(&a.internal, "broker-internal", "", "second `address` of the broker, for containers, or none (default "+defaultInternal+")")
	f.StringVar(&a.ui, "console", "", "`address` of the web UI, or none (default "+defaultUI+")")
}

// runtime is what start and the others act on.
func (a stackArgs) runtime(env *cli.Env) (stack.Runtime, error) {
	dir, err := stack.Dir(env.Getenv)
	if err != nil {
		return stack.Runtime{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return stack.Runtime{}, fmt.Errorf("find the smartlb binary: %w", err)
	}
	return stack.NewEmbedded(stack.EmbeddedConfig{
		Dir: dir, Program: program,
		Listen: cmp.Or(a.listen, defaultListen), Internal: orDefault(a.internal, defaultInternal), UI: orDefault(a.ui, defaultUI),
		KafkaHealth: healthy, UIHealth: answers,
	}), nil
}

// orDefault is an address that may be none.
func orDefault(given, usual string) string {
	if given == "none" {
		return ""
	}
	return cmp.Or(given, usual)
}

// answers is one health check of the web UI: it serves its page.
func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the page answers %s", resp.Status)
	}
	return nil
}

// recall makes every verb but start use the addresses of the last start where
// none are given, and start remember its own.
func (a *stackArgs) recall(env *cli.Env, verb string) error {
	dir, err := stack.Dir(env.Getenv)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "addresses")
	if b, err := os.ReadFile(path); err == nil && verb != "start" {
		last := strings.Split(string(b)+"\n\n\n", "\n")
		a.listen, a.internal, a.ui = cmp.Or(a.listen, last[0]), cmp.Or(a.internal, last[1]), cmp.Or(a.ui, last[2])
	}
	if _, running := stack.Find(dir); verb != "restart" && (verb != "start" || running) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if err := renameio.WriteFile(path, []byte(a.listen+"\n"+a.internal+"\n"+a.ui+"\n"), 0o644); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}

// healthy is one health check of a broker: a topic listing.
func healthy(ctx context.Context, address string) error {
	cfg := kafka.Default()
	cfg.Brokers, cfg.RequestTimeout, cfg.DialTimeout = []string{address}, 3*time.Second, time.Second
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return err
	}
	defer admin.Close()
	if h := ops.CheckHealth(ctx, admin, nil); !h.Healthy {
		return errors.New(h.Error)
	}
	return nil
}

// stackStatus is the result of start, stop, restart and status.
type stackStatus struct {
	Runtime  string         `json:"runtime"`
	Healthy  bool           `json:"healthy"` // all required services
	Lacks    string         `json:"lacks,omitempty"`
	State    string         `json:"state"` // folder
	Services []stack.Status `json:"services"`
}

func look(ctx context.Context, r stack.Runtime) stackStatus {
	s := stackStatus{Runtime: r.Name, Healthy: true, Lacks: r.Lacks, State: r.Dir, Services: r.Status(ctx)}
	for _, x := range s.Services {
		s.Healthy = s.Healthy && (x.Healthy || !x.Required)
	}
	return s
}

func stackVerb(env *cli.Env, use, short, example string, flags bool, act func(context.Context, *cli.Env, stack.Runtime) error) *cobra.Command {
	v := cli.Verb[stackArgs, stackStatus]{
		Use: use, Short: short, Example: example,
		Run: func(ctx context.Context, env *cli.Env, a stackArgs) (stackStatus, error) {
			if err := a.recall(env, use); err != nil {
				return stackStatus{}, err
			}
			r, err := a.runtime(env)
			if err != nil {
				return stackStatus{}, err
			}
			if err := act(ctx, env, r); err != nil {
				return stackStatus{}, err
			}
			s := look(ctx, r)
			if use == "status" && !s.Healthy {
				return s, cli.ErrUnhealthy
			}
			return s, nil
		},
		Table: statusTable,
	}
	if flags {
		v.Flags = func(f *pflag.FlagSet, a *stackArgs) { a.flags(f) }
	}
	return v.Command(env)
}

func start(env *cli.Env) *cobra.Command {
	return stackVerb(env, "start", "Start the local Kafka stack and wait until it is healthy",
		"  smartlb kafka start\n  smartlb kafka start --broker-listen 127.0.0.1:19092 --broker-internal none --console none", true,
		func(ctx context.Context, env *cli.Env, r stack.Runtime) error { return r.Start(ctx, env.Say) })
}

func stop(env *cli.Env) *cobra.Command {
	return stackVerb(env, "stop", "Stop the local Kafka stack", "  smartlb kafka stop", false,
		func(ctx context.Context, env *cli.Env, r stack.Runtime) error { return r.Stop(ctx, env.Say) })
}

func restart(env *cli.Env) *cobra.Command {
	return stackVerb(env, "restart", "Stop and start the local Kafka stack", "  smartlb kafka restart", true,
		func(ctx context.Context, env *cli.Env, r stack.Runtime) error {
			if err := r.Stop(ctx, env.Say); err != nil {
				return err
			}
			return r.Start(ctx, env.Say)
		})
}

func status(env *cli.Env) *cobra.Command {
	return stackVerb(env, "status", "Show what of the local Kafka stack runs; exit code 10 when something required is down",
		"  smartlb kafka status\n  smartlb kafka status -o json", false,
		func(context.Context, *cli.Env, stack.Runtime) error { return nil })
}

func statusTable(s stackStatus) cli.Table {
	t := cli.Table{Head: []string{"SERVICE", "STATE", "HEALTH", "ADDRESS", "INTERNAL", "PID", "UPTIME", "LOG"}, Wide: 1}
	for _, x := range s.Services {
		health, pid, uptime := "-", "-", "-"
		if x.State == stack.Running {
			health, pid, uptime = "ok", strconv.Itoa(x.PID), time.Since(x.Since).Round(time.Second).String()
			if !x.Healthy {
				health = x.Detail
			}
		} else if x.Detail != "" {
			health = x.Detail
		}
		t.Rows = append(t.Rows, []string{x.Name, string(x.State), health, x.Address, x.Internal, pid, uptime, x.Log})
	}
	t.Below = append(t.Below, fmt.Sprintf("Runtime: %s (%s).", s.Runtime, s.Lacks), "State: "+s.State)
	return t
}

type logsArgs struct {
	service string
	lines   int
	follow  bool
}

func logs(env *cli.Env) *cobra.Command {
	return cli.Verb[logsArgs, cli.None]{
		Use: "logs [SERVICE]", Short: "Print the log of a service of the local stack",
		Example:  "  smartlb kafka logs kafka\n  smartlb kafka logs kafka -n 20 -f",
		Defaults: logsArgs{service: stack.KafkaName, lines: 100},
		Flags: func(f *pflag.FlagSet, a *logsArgs) {
			f.IntVarP(&a.lines, "lines", "n", a.lines, "how many of the last lines")
			f.BoolVarP(&a.follow, "follow", "f", false, "go on with new lines until Ctrl-C")
		},
		Args: func(a *logsArgs, words []string) error {
			if len(words) > 1 {
				return fmt.Errorf("%q is not understood", words[1])
			}
			if len(words) == 1 {
				a.service = words[0]
			}
			return nil
		},
		Run: func(ctx context.Context, env *cli.Env, a logsArgs) (cli.None, error) {
			var addresses stackArgs
			if err := addresses.recall(env, "logs"); err != nil {
				return cli.None{}, err
			}
			r, err := addresses.runtime(env)
			if err != nil {
				return cli.None{}, err
			}
			s, err := r.Find(a.service)
			if err != nil {
				return cli.None{}, cli.Usagef("%w", err)
			}
			return cli.None{}, printLog(ctx, env, s.Status(ctx).Log, a)
		},
	}.Command(env)
}

// printLog prints the end of a log and what is appended to it.
func printLog(ctx context.Context, env *cli.Env, path string, a logsArgs) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no log yet: it was never started here", a.service)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	var last []string
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			last = append(last, line)
			if len(last) > 2*max(a.lines, 1) {
				last = append([]string(nil), last[len(last)-a.lines:]...)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	last = last[max(0, len(last)-a.lines):]
	if _, err := io.WriteString(env.Out, strings.Join(last, "")); err != nil {
		return err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for a.follow {
		if _, err := io.Copy(env.Out, in); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return nil
}
