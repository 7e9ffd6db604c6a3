package stackcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack"
)

type logsArgs struct {
	service string
	lines   int
	follow  bool
	since   time.Duration
}

func logs(env *cli.Env) *cobra.Command {
	return cli.Verb[logsArgs, cli.None]{
		Use: "logs [SERVICE]", Short: "Print the log of a service of the local stack",
		Example:  "  smartlb kafka logs kafka\n  smartlb kafka logs zookeeper -n 20 -f\n  smartlb kafka logs connect --since 10m",
		Defaults: logsArgs{service: stack.KafkaName, lines: 100},
		Flags: func(f *pflag.FlagSet, a *logsArgs) {
			f.IntVarP(&a.lines, "lines", "n", a.lines, "number of lines from the end")
			f.BoolVarP(&a.follow, "follow", "f", false, "continue with new lines until Ctrl-C")
			f.DurationVar(&a.since, "since", 0, "only lines of the latest `duration`, such as 10m")
		},
		Args: func(a *logsArgs, words []string) error {
			if len(words) > 1 {
				return fmt.Errorf("unexpected argument %q", words[1])
			}
			if len(words) == 1 {
				a.service = words[0]
			}
			return nil
		},
		Complete: func(ctx context.Context, env *cli.Env, _ *logsArgs, words []string) []string {
			r, err := stackArgs{}.runtime(ctx, env, "logs")
			if err != nil || len(words) > 0 {
				return nil
			}
			return r.Names()
		},
		Run: func(ctx context.Context, env *cli.Env, a logsArgs) (cli.None, error) {
			if a.lines < 0 || a.since < 0 {
				return cli.None{}, cli.Usagef("-n and --since must not be negative")
			}
			r, err := stackArgs{}.runtime(ctx, env, "logs")
			if err != nil {
				return cli.None{}, err
			}
			s, err := r.Find(a.service)
			if err != nil {
				return cli.None{}, cli.Usagef("%w", err)
			}
			if c, ok := s.(stack.Container); ok {
				return cli.None{}, containerLog(ctx, env, c, a)
			}
			return cli.None{}, printLog(ctx, env, s.Status(ctx).Log, a)
		},
	}.Command(env)
}

// containerLog prints a container's log through docker.
func containerLog(ctx context.Context, env *cli.Env, c stack.Container, a logsArgs) error {
	args := []string{"--tail", fmt.Sprint(a.lines)}
	if a.since > 0 {
		args = []string{"--since", a.since.String()}
	}
	if a.follow {
		args = append(args, "--follow")
	}
	cmd := c.Logs(ctx, args...)
	cmd.Stdout, cmd.Stderr = env.Out, env.Err
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// printLog prints the end of a log and the lines that are appended to it.
func printLog(ctx context.Context, env *cli.Env, path string, a logsArgs) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no log yet: it was never started here", a.service)
	}
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	pick := &lastLines{most: a.lines}
	if a.since > 0 {
		pick = &lastLines{most: -1, since: time.Now().Add(-a.since)}
	}
	for _, older := range []string{path + ".3", path + ".2", path + ".1"} {
		if a.since == 0 { // the last lines are in the current file, except shortly after a rotation
			break
		}
		if err := pick.file(older); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	in := bufio.NewReader(f)
	if err := pick.read(in); err != nil {
		return err
	}
	if _, err := io.WriteString(env.Out, strings.Join(pick.take(), "")); err != nil {
		return err
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for a.follow {
		if _, err := io.Copy(env.Out, in); err != nil {
			return err
		}
		if next, turned := reopened(f, path); turned {
			f.Close()
			f, in = next, bufio.NewReader(next)
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return nil
}

// reopened returns the new file at path if the log was rotated.
func reopened(f *os.File, path string) (*os.File, bool) {
	is, err := f.Stat()
	if err != nil {
		return nil, false
	}
	now, err := os.Stat(path)
	if err != nil || os.SameFile(is, now) {
		return nil, false
	}
	next, err := os.Open(path)
	return next, err == nil
}

// lastLines keeps the last lines of its input, or all lines since a given time. A line without a time belongs to the
// previous line.
type lastLines struct {
	most  int // -1: all
	since time.Time
	on    bool // the previous line was recent enough
	lines []string
}

func (l *lastLines) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return l.read(bufio.NewReader(f))
}

func (l *lastLines) read(in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			l.add(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (l *lastLines) add(line string) {
	if !l.since.IsZero() {
		if at, ok := timeOf(line); ok {
			l.on = !at.Before(l.since)
		}
		if !l.on {
			return
		}
	}
	l.lines = append(l.lines, line)
	if l.most >= 0 && len(l.lines) > 2*max(l.most, 1) {
		l.lines = append([]string(nil), l.lines[len(l.lines)-l.most:]...)
	}
}

func (l *lastLines) take() []string {
	if l.most < 0 {
		return l.lines
	}
	return l.lines[max(0, len(l.lines)-l.most):]
}

// timeOf parses the time at the start of a line in one of our logs.
func timeOf(line string) (time.Time, bool) {
	word := strings.TrimPrefix(line, "time=")
	if end := strings.IndexByte(word, ' '); end > 0 {
		word = word[:end]
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999Z07:00", "2006-01-02T15:04:05.999Z0700"} {
		if at, err := time.Parse(layout, strings.TrimSpace(word)); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
