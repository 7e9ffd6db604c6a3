package app

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/stack/broker"
)

// AllRoles in the order of their start.
func AllRoles() []string {
	return []string{event.RoleBroker, event.RoleAnalyzer, event.RoleProxy, event.RoleConsole}
}

// CheckRoles returns an error that lists the roles where one is unknown.
func CheckRoles(roles []string) error {
	if len(roles) == 0 {
		return fmt.Errorf("no role: want one or more of %s", strings.Join(AllRoles(), ", "))
	}
	for _, r := range roles {
		if !slices.Contains(AllRoles(), r) {
			return fmt.Errorf("unknown role %q: want one or more of %s", r, strings.Join(AllRoles(), ", "))
		}
	}
	return nil
}

// Options are everything that a process is told.
type Options struct {
	Roles      []string
	Document   config.Document
	Traffic    []byte // the Traffic part of the file as text; empty: none
	FileName   string
	DataDir    string // empty: nothing is kept
	Kafka      bool   // false: no Kafka at all (smartlb proxy without --kafka)
	FileOnly   bool   // --config-source file
	Broker     broker.Config
	OwnBroker  bool // the brokers of Document.Kafka are one of this program, which its parent or child runs
	Version    string
	Demo       Demo
	Drain      time.Duration
	LameDuck   time.Duration // how long a stop goes on accepting after /readyz has begun to fail
	Signals    Signals
	Insecure   bool     // admin, console and broker may listen beyond loopback, where they have no credentials
	Listen     []Listen // addresses that replace the configuration's
	ListenFlag string   // how the caller names the flag of a listener's address
	Log        *slog.Logger
}

func (o Options) has(role string) bool { return slices.Contains(o.Roles, role) }
