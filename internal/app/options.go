package app

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/handover"
	"github.com/smartlb/smartlb/internal/control/config"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/stack/broker"
)

// AllRoles returns all roles in the order of their start.
func AllRoles() []string {
	return []string{event.RoleBroker, event.RoleAnalyzer, event.RoleProxy, event.RoleCollector, event.RoleConsole}
}

// CheckRoles returns an error that lists the valid roles if a role is unknown.
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

// Options are the settings of a process.
type Options struct {
	Roles      []string
	Document   config.Document
	Traffic    []byte // the Traffic part of the file as text; empty: no file
	FileName   string
	DataDir    string // empty: the process stores no data
	Kafka      bool   // false: no Kafka at all (smartlb proxy without --kafka)
	FileOnly   bool   // --config-source file
	Broker     broker.Config
	OwnBroker  bool // the broker in Document.Kafka belongs to this program and runs in its parent or child process
	Version    string
	Demo       Demo
	Drain      time.Duration
	LameDuck   time.Duration // how long a stopping process accepts connections after /readyz fails
	Signals    Signals
	Upgrade    Upgrade
	Sockets    *handover.Sockets     // listening sockets that this process inherited; nil: none
	Before     *handover.Predecessor // the process whose place this process takes; nil: none
	Manager    ServiceManager        // nil: none
	Insecure   bool                  // admin, console and broker may listen beyond loopback without credentials
	Listen     []Listen              // addresses that replace those of the configuration
	ListenFlag string                // the name of the flag for a listener's address, for error messages
	Log        *slog.Logger
}

func (o Options) has(role string) bool { return slices.Contains(o.Roles, role) }
