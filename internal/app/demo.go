package app

import (
	"context"

	"github.com/smartlb/smartlb/internal/api"
)

// Demo is how the API reaches the demo instances; the zero value is no demo.
type Demo struct {
	Fault  func(ctx context.Context, instance string, f *api.Fault) error // nil fault: heal
	Faults func() map[string]api.Fault                                    // of the broken instances

	Load    func() api.DemoLoad                            // nil: it sends none
	SetLoad func(ctx context.Context, scale float64) error // nil: it cannot be changed
}
