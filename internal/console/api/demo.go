package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/smartlb/smartlb/internal/console/problem"
	"github.com/smartlb/smartlb/internal/control/access"
	"github.com/smartlb/smartlb/internal/event"
)

// DemoState is the state of the demo.
type DemoState struct {
	Load     DemoLoad      `json:"load"`
	Services []DemoService `json:"services"`
	Policies []string      `json:"policies"`
	Presets  []Preset      `json:"presets"`
}

// DemoLoad is the load that the demo sends.
type DemoLoad struct {
	Scale float64 `json:"scale"` // a multiple of the gentle load; 0: no load
	Rate  float64 `json:"rate"`  // the resulting requests per second
}

// DemoService is one of the demo's services.
type DemoService struct {
	ID        string         `json:"id"`
	Policy    string         `json:"policy"`
	Instances []DemoInstance `json:"instances"`
}

// DemoInstance is one process of the demo.
type DemoInstance struct {
	ID    string `json:"id"`
	Fault *Fault `json:"fault"` // null: no fault
}

// Preset is a fault that a page offers.
type Preset struct {
	Name  string `json:"name"`
	About string `json:"about"`
	See   string `json:"see"` // the expected effect
	Fault Fault  `json:"fault"`
}

func presets() []Preset {
	return []Preset{
		{"fast errors", "answers 500 within a millisecond", "Least connections would send it almost all requests, because it is always idle. Here, its share falls to almost 0 within a second, and it is ejected.", Fault{ErrorRate: 1, LatencyMs: 1}},
		{"gray failure", "fails three of ten requests, answers the others normally", "Its health checks pass. Its cost grows with its errors, and its share falls to 1 or 2 %.", Fault{ErrorRate: .3}},
		{"slow", "takes half a second", "The latency factor grows with its latency relative to the median of the others, and its share shrinks.", Fault{LatencyMs: 500}},
		{"very slow", "takes five seconds", "Responses become overdue: the factor for missing responses acts before the first response arrives.", Fault{LatencyMs: 5000}},
		{"a little slow", "takes 350 ms", "Its share shrinks a little, and it stays in rotation: slow is not broken.", Fault{LatencyMs: 350}},
	}
}

func (s *Server) demoRoutes() {
	s.get("/api/v1/demo", s.src.Demo != nil, func(r *http.Request) (any, error) {
		d, err := s.src.Demo(r.Context())
		d.Presets, d.Services, d.Policies = presets(), nonNil(d.Services), nonNil(d.Policies)
		return d, err
	})
	s.change("POST", "/api/v1/demo/instances/{instance}/fault", s.src.Fault != nil,
		change{need: access.Operator, action: "fault.instance", do: s.fault})
	s.change("POST", "/api/v1/demo/load", s.src.SetLoad != nil, change{need: access.Operator, action: "load.demo", do: s.load})
	s.change("POST", "/api/v1/demo/services/{service}/policy", s.src.SetPolicy != nil && s.src.Demo != nil,
		change{need: access.Operator, action: "policy.service", do: s.policy})
}

// maxScale limits the load that the demo puts on its machine.
const maxScale = 100

func (s *Server) load(r *http.Request, a *act) (any, error) {
	var body struct {
		Scale *float64 `json:"scale"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	if body.Scale == nil || !(*body.Scale >= 0 && *body.Scale <= maxScale) {
		return nil, problem.Errorf(problem.Invalid, "scale: want 0 (no load) to %d times the gentle load", maxScale)
	}
	a.target, a.after = event.Target{Kind: "demo", ID: "load"}, body
	if err := s.src.SetLoad(r.Context(), *body.Scale); err != nil {
		return nil, err
	}
	return map[string]string{"result": fmt.Sprintf("the load is %g times the gentle load", *body.Scale)}, nil
}

func (s *Server) policy(r *http.Request, a *act) (any, error) {
	var body struct {
		Policy string `json:"policy"`
	}
	if err := decodeBody(r, &body); err != nil {
		return nil, err
	}
	d, err := s.src.Demo(r.Context())
	if err != nil {
		return nil, err
	}
	if !slices.Contains(d.Policies, body.Policy) {
		return nil, problem.Errorf(problem.Invalid, "policy %q: want one of %s", body.Policy, strings.Join(d.Policies, ", "))
	}
	service := r.PathValue("service")
	i := slices.IndexFunc(d.Services, func(v DemoService) bool { return v.ID == service })
	if i < 0 {
		return nil, problem.Errorf(problem.NotFound, "the demo has no service %q", service)
	}
	a.target = event.Target{Kind: "service", ID: service}
	a.before, a.after = map[string]string{"policy": d.Services[i].Policy}, body
	if err := s.src.SetPolicy(r.Context(), service, body.Policy, access.From(r.Context()).User); err != nil {
		return nil, err
	}
	return map[string]string{"result": service + " uses the policy " + body.Policy}, nil
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
		return nil, problem.Errorf(problem.Invalid, "errorRate: want 0 to 1; latencyMs: want 0 to 60000")
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
