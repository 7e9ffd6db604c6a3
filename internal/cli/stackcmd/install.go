package stackcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/smartlb/smartlb/internal/base/state"
	"github.com/smartlb/smartlb/internal/cli"
	"github.com/smartlb/smartlb/internal/stack"
	"github.com/smartlb/smartlb/internal/stack/distribution"
	"github.com/smartlb/smartlb/internal/stack/properties"
)

// installArgs are the flags of install.
type installArgs struct {
	mode       string
	repository string
	dir        string
	noArchives bool
}

// installed is the result of install for each mode.
type installed struct {
	Java  string            `json:"java"`
	Modes []installedByMode `json:"modes"`
}

type installedByMode struct {
	Mode properties.Mode `json:"mode"`
	distribution.Installed
	Archives []string `json:"archives"` // class data archives that this call created
	Warning  string   `json:"warning,omitempty"`
}

func install(env *cli.Env) *cobra.Command {
	return cli.Verb[installArgs, installed]{
		Use: "install", Short: "Install Kafka, ZooKeeper and Kafka Connect for the runtime jvm",
		Long: "Downloads the jars of the lock files and checks the SHA-256 of each. It uses mvn if installed (with your repository and\n" +
			"mirror settings), otherwise --repository. Valid jars are not downloaded again. If KAFKA_HOME is set, that installation is\n" +
			"used instead.",
		Example:  "  smartlb kafka install\n  smartlb kafka install --mode all\n  smartlb kafka install --repository https://repository.example.com/maven",
		Defaults: installArgs{mode: string(properties.ModeZookeeper)},
		Flags: func(f *pflag.FlagSet, a *installArgs) {
			f.StringVar(&a.mode, "mode", a.mode, "zookeeper (Kafka "+versionZookeeper+"), kraft (Kafka "+versionKRaft+") or all")
			f.StringVar(&a.repository, "repository", "", "download from this `URL or folder` with Maven's layout instead of using mvn")
			f.StringVar(&a.dir, "dir", "", "`folder` of installations (default SMARTLB_KAFKA_DIR or smartlb/kafka in the user's data folder)")
			f.BoolVar(&a.noArchives, "no-archives", false, "skip the class data archives, which halve the start time of services")
		},
		Run:   runInstall,
		Table: installTable,
	}.Command(env)
}

func runInstall(ctx context.Context, env *cli.Env, a installArgs) (installed, error) {
	result := installed{Modes: []installedByMode{}}
	modes := []properties.Mode{properties.ModeZookeeper, properties.ModeKRaft}
	if a.mode != "all" {
		m, err := parseMode(a.mode)
		if err != nil {
			return result, cli.Usagef("--mode %s: allowed are zookeeper, kraft and all", a.mode)
		}
		modes = []properties.Mode{m}
	}
	java, err := distribution.FindJava(ctx, env.Getenv)
	if err != nil {
		return result, err
	}
	result.Java = java.Version
	if home := env.Getenv("KAFKA_HOME"); home != "" {
		env.Say("KAFKA_HOME is %s: smartlb kafka start uses that folder, not this installation", home)
	}
	for _, m := range modes {
		done, err := installMode(ctx, env, a, m, java)
		if err != nil {
			return result, err
		}
		result.Modes = append(result.Modes, done)
	}
	return result, nil
}

// installMode installs what one mode needs and does not have.
func installMode(ctx context.Context, env *cli.Env, a installArgs, m properties.Mode, java distribution.Java) (installedByMode, error) {
	result := installedByMode{Mode: m, Archives: []string{}}
	lock, err := lockOf(versionOf(m))
	if err != nil {
		return result, err
	}
	root, err := installRoot(env, a.dir)
	if err != nil {
		return result, err
	}
	dir := distribution.At(root, lock.Version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return result, fmt.Errorf("install: %w", err)
	}
	release, err := state.Lock(ctx, filepath.Join(dir, ".lock"))
	switch {
	case err != nil && ctx.Err() != nil:
		return result, fmt.Errorf("another installation into %s is under way: %w", dir, err)
	case err != nil:
		return result, fmt.Errorf("install: %w", err)
	}
	defer release()
	if err := distribution.Clear(dir); err != nil {
		return result, err
	}
	if !distribution.Complete(lock, dir) {
		env.Say("Kafka %s: %d jars, %s, into %s", lock.Version, len(lock.Jars), megabytes(lock.Size()), dir)
	}
	source, err := sourceOf(a.repository)
	if err != nil {
		return result, err
	}
	line := newProgressLine(env.Err)
	result.Installed, err = distribution.Install(ctx, lock, dir, source, func(p distribution.Progress) {
		line.show(p.Jars == p.Of, "Kafka %s: %d of %d jars, %s of %s", p.Version, p.Jars, p.Of, megabytes(p.Bytes), megabytes(p.In))
	})
	line.end()
	if err != nil {
		if source == nil {
			err = fmt.Errorf("%w: install Maven, or name a repository of its layout with --repository, or set KAFKA_HOME", err)
		}
		return result, err
	}
	if a.noArchives {
		return result, nil
	}
	home, err := distribution.Open(dir)
	if err != nil {
		return result, err
	}
	made, err := stack.MakeArchives(ctx, stack.ArchiveConfig{Home: home, Java: java, Mode: m, KafkaHealth: serving, ConnectHealth: connectAnswers}, env.Say)
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	if err != nil {
		result.Warning = fmt.Sprintf("no class data archives, the services start slower: %v", err)
		env.Say("%s", result.Warning)
	}
	result.Archives = append(result.Archives, made...)
	return result, nil
}

func installRoot(env *cli.Env, dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	return distribution.Root(env.Getenv)
}

// sourceOf returns the source of the jars; nil: there is no source.
func sourceOf(repository string) (distribution.Source, error) {
	if repository != "" {
		r, err := distribution.NewRepository(repository)
		if err != nil {
			return nil, cli.Usagef("--repository: %w", err)
		}
		return r, nil
	}
	mvn, err := exec.LookPath("mvn")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	return distribution.Maven{Program: mvn}, err
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

func installTable(r installed) cli.Table {
	t := cli.Table{Head: []string{"MODE", "KAFKA", "JARS", "FETCHED", "SIZE", "ARCHIVES", "FOLDER"}}
	nothing := true
	for _, m := range r.Modes {
		t.Rows = append(t.Rows, []string{
			string(m.Mode), m.Version, strconv.Itoa(m.Jars), strconv.Itoa(m.Fetched), megabytes(m.Bytes), strconv.Itoa(len(m.Archives)), m.Dir,
		})
		nothing = nothing && m.Fetched == 0 && len(m.Archives) == 0
	}
	if nothing {
		t.Below = append(t.Below, "Everything was already installed.")
	} else {
		t.Below = append(t.Below, "Next: smartlb kafka start")
	}
	return t
}

// relockArgs are the arguments of relock.
type relockArgs struct{ version string }

// relock is for a change of the Kafka version: it prints a lock with the jars that the roots of the old lock need.
func relock(env *cli.Env) *cobra.Command {
	return cli.Verb[relockArgs, cli.None]{
		Use: "relock VERSION", Short: "Resolve a version with mvn and print its lock file", Hidden: true,
		Args: cli.Words(func(a *relockArgs) []*string { return []*string{&a.version} }, "VERSION"),
		Run: func(ctx context.Context, env *cli.Env, a relockArgs) (cli.None, error) {
			lock, err := lockOf(a.version)
			if err != nil {
				return cli.None{}, cli.Usagef("%w", err)
			}
			mvn, err := exec.LookPath("mvn")
			if err != nil {
				return cli.None{}, fmt.Errorf("relock needs Maven: %w", err)
			}
			ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
			defer cancel()
			next, err := distribution.Maven{Program: mvn}.Relock(ctx, lock)
			if err != nil {
				return cli.None{}, err
			}
			_, err = fmt.Fprint(env.Out, next)
			return cli.None{}, err
		},
	}.Command(env)
}
