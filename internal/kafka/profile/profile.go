// Package profile stores clusters: their brokers, encryption and login. Users add profiles with `smartlb profile`;
// every command that connects to Kafka can use a profile.
//
// The file is profiles.yaml in $SMARTLB_CONFIG_DIR, else $XDG_CONFIG_HOME/smartlb, else ~/.config/smartlb. It holds
// names of secrets, never secrets.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/google/renameio/v2"

	"github.com/smartlb/smartlb/internal/base/state"
	"github.com/smartlb/smartlb/internal/base/yamlsafe"
	"github.com/smartlb/smartlb/internal/kafka"
	"github.com/smartlb/smartlb/internal/kafka/sign"
)

// Profile describes one cluster.
type Profile struct {
	Brokers []string    `yaml:"brokers" json:"brokers"`
	TLS     kafka.TLS   `yaml:"tls,omitempty" json:"tls"`
	SASL    kafka.SASL  `yaml:"sasl,omitempty" json:"sasl"`
	Signing sign.Config `yaml:"signing,omitempty" json:"signing,omitzero"` // keys that sign changes of routing; default: none
}

// Security returns the encryption and login of the cluster.
func (p Profile) Security() kafka.Security { return kafka.Security{TLS: p.TLS, SASL: p.SASL} }

// Validate reports every mistake at once, each with its path.
func (p Profile) Validate() error {
	cfg := kafka.Default()
	cfg.Brokers, cfg.Security = p.Brokers, p.Security()
	if err := p.Signing.Check(); err != nil {
		return errors.Join(cfg.Validate(), fmt.Errorf("signing: %w", err))
	}
	return cfg.Validate()
}

// File holds all profiles of a user.
type File struct {
	Use      string             `yaml:"use,omitempty"` // name of the profile in use; empty: none
	Profiles map[string]Profile `yaml:"profiles"`

	path string
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ErrUnknown means that the profile does not exist.
var ErrUnknown = errors.New("there is no such profile")

// Path returns the path of the file.
func Path(getenv func(string) string) (string, error) {
	dir := getenv("SMARTLB_CONFIG_DIR")
	if dir == "" {
		base := state.UserFolder(getenv, "XDG_CONFIG_HOME", ".config")
		if base == "" {
			return "", errors.New("no folder for profiles: set SMARTLB_CONFIG_DIR or HOME")
		}
		dir = filepath.Join(base, "smartlb")
	}
	return filepath.Join(dir, "profiles.yaml"), nil
}

// Load reads the file; a missing file has no profiles.
func Load(getenv func(string) string) (*File, error) {
	path, err := Path(getenv)
	if err != nil {
		return nil, err
	}
	f := &File{Profiles: map[string]Profile{}, path: path}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if err := yamlsafe.Decode(raw, yamlsafe.Small(), f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if f.Profiles == nil {
		f.Profiles = map[string]Profile{}
	}
	var errs []error
	for _, n := range f.Names() {
		if err := f.Profiles[n].Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: profile %s: %w", path, n, err))
		}
	}
	return f, errors.Join(errs...)
}

// Names lists the profiles.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Profiles)) }

// Where returns the path of the file.
func (f *File) Where() string { return f.path }

// Get returns a profile by name. The error lists the existing names.
func (f *File) Get(name string) (Profile, error) {
	p, ok := f.Profiles[name]
	if !ok {
		known := strings.Join(f.Names(), ", ")
		if known == "" {
			known = "none, smartlb profile add makes one"
		}
		return p, fmt.Errorf("%w: %q; profiles: %s", ErrUnknown, name, known)
	}
	return p, nil
}

// Add stores a profile. It replaces a profile of the same name only if replace is set.
func (f *File) Add(as string, p Profile, replace bool) error {
	if !name.MatchString(as) {
		return fmt.Errorf("%q: want a name of letters, digits, dots, dashes and underscores", as)
	}
	if err := p.Validate(); err != nil {
		return err
	}
	if _, is := f.Profiles[as]; is && !replace {
		return fmt.Errorf("profile %s exists; --replace writes over it", as)
	}
	f.Profiles[as] = p
	return f.save()
}

// Select makes a profile the profile in use; an empty name means none.
func (f *File) Select(name string) error {
	if name != "" {
		if _, err := f.Get(name); err != nil {
			return err
		}
	}
	f.Use = name
	return f.save()
}

// Remove deletes a profile.
func (f *File) Remove(name string) error {
	if _, err := f.Get(name); err != nil {
		return err
	}
	delete(f.Profiles, name)
	if f.Use == name {
		f.Use = ""
	}
	return f.save()
}

func (f *File) save() error {
	raw, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("profiles: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(f.path, raw, 0o600)
}

// Chosen is the profile that a command uses.
type Chosen struct {
	Name   string
	Origin string // --profile, SMARTLB_PROFILE or "profile in use"
	Profile
}

// Named returns the profile that a flag or SMARTLB_PROFILE names; ok is false if there is none.
func Named(getenv func(string) string, flag string) (c Chosen, ok bool, err error) {
	c.Name, c.Origin = flag, "--profile"
	if c.Name == "" {
		c.Name, c.Origin = getenv("SMARTLB_PROFILE"), "SMARTLB_PROFILE"
	}
	if c.Name == "" {
		return Chosen{}, false, nil
	}
	f, err := Load(getenv)
	if err == nil {
		c.Profile, err = f.Get(c.Name)
	}
	if err != nil {
		return Chosen{}, false, fmt.Errorf("%s: %w", c.Origin, err)
	}
	return c, true, nil
}

// InUse returns the profile that `smartlb profile use` selected; ok is false if there is none.
func InUse(getenv func(string) string) (c Chosen, ok bool, err error) {
	path, err := Path(getenv)
	if err != nil {
		return Chosen{}, false, nil // without a home folder there are no profiles
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return Chosen{}, false, nil
	}
	f, err := Load(getenv)
	if err != nil || f.Use == "" {
		return Chosen{}, false, err
	}
	p, err := f.Get(f.Use)
	if err != nil {
		return Chosen{}, false, fmt.Errorf("%s: use: %w", path, err)
	}
	return Chosen{f.Use, "profile in use", p}, true, nil
}

// Current returns the profile that commands use: named by a flag or SMARTLB_PROFILE, else the profile in use.
func Current(getenv func(string) string, flag string) (c Chosen, ok bool, err error) {
	if c, ok, err = Named(getenv, flag); ok || err != nil {
		return c, ok, err
	}
	return InUse(getenv)
}
