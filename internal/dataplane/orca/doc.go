// Package orca reads the load reports that instances send with their responses: ORCA, the Open Request Cost Aggregation of
// xDS, which gRPC, Envoy and model servers use.
//
// A report stands in a response header or trailer, in one of four encodings:
//
//	endpoint-load-metrics: TEXT cpu_utilization=0.3,rps_fractional=120
//	endpoint-load-metrics: JSON {"cpu_utilization": 0.3, "rps_fractional": 120}
//	endpoint-load-metrics: BIN base64 of xds.data.orca.v3.OrcaLoadReport
//	endpoint-load-metrics-bin: the same base64, as gRPC sends it
//
// The package knows neither HTTP nor instances. Package proxy finds the fields, and upstream.Live keeps the latest report.
package orca
