package app

import (
	"context"

	"github.com/smartlb/smartlb/internal/console/api"
)

// listAlerts returns the alerts for the API. The silences come from the log that this node follows. A node that follows
// no log reads the silences on demand.
func (a *App) listAlerts(ctx context.Context, past bool) ([]api.Alert, error) {
	all := a.alerts.Active()
	if past {
		all = append(all, a.alerts.Past()...)
	}
	if a.control != nil {
		return api.WithSilences(all, a.control.Status().Silences), nil
	}
	s, err := a.configLog.State(ctx)
	return api.WithSilences(all, s.Silences), err
}
