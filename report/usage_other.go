//go:build !linux

package report

import "time"

// usage measures nothing on this system: CPU and memory are absent from reports.
type usage struct{}

func newUsage() usage { return usage{} }

func (*usage) cpu(time.Time) *float64 { return nil }

func (*usage) memory() *float64 { return nil }
