package api

import (
	"errors"
	"net/http"

	"github.com/smartlb/smartlb/internal/access"
	"github.com/smartlb/smartlb/internal/event"
)

func (s *Server) demoRoutes() {
	s.change("POST", "/api/v1/demo/instances/{instance}/fault", s.src.Fault != nil,
		change{need: access.Operator, action: "fault.instance", do: s.fault})
}

func (s *Server) fault(r *http.Request, a *act) (any, error) {
	var body struct {
		Heal bool `json:"heal"`
		Fault
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	if body.ErrorRate < 0 || body.ErrorRate > 1 || body.LatencyMs < 0 || body.LatencyMs > 60_000 {
		return nil, badRequest{errors.New("errorRate wants 0 to 1, latencyMs 0 to 60000")}
	}
	a.target = event.Target{Kind: "instance", ID: r.PathValue("instance")}
	f := &body.Fault
	a.action, a.after = "break.instance", f
	if body.Heal {
		f = nil
		a.action, a.after = "heal.instance", nil
	}
	if err := s.src.Fault(r.Context(), r.PathValue("instance"), f); err != nil {
		return nil, err
	}
	result := "healed"
	if f != nil {
		result = "broken"
	}
	return map[string]string{"result": result}, nil
}
