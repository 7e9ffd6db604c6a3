package serve

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/smartlb/smartlb/internal/app"
)

// systemd notifies a service manager that sets NOTIFY_SOCKET (see sd_notify(3)). Without the variable it does nothing.
type systemd struct {
	log  *slog.Logger
	left atomic.Bool // another process has taken the place of this process
}

var _ app.ServiceManager = (*systemd)(nil)

// Ready says that the process serves, at the start and after Reloading.
func (s *systemd) Ready() { s.notify(daemon.SdNotifyReady) }

// Reloading says that a reload or an upgrade has begun.
func (s *systemd) Reloading() {
	s.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// HandedOver makes another process the main process of the service.
func (s *systemd) HandedOver(pid int) {
	s.notify(fmt.Sprintf("MAINPID=%d\n%s", pid, daemon.SdNotifyReady))
	s.left.Store(true)
}

// Stopping says that the process stops.
func (s *systemd) Stopping() { s.notify(daemon.SdNotifyStopping) }

func (s *systemd) notify(state string) {
	if s.left.Load() {
		return // the service is no longer this process
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("service manager not notified", "error", err)
	}
}
