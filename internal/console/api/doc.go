// Package api is the HTTP API under /api/v1. The admin listener of each node and the console serve the same API.
// api/openapi.yaml describes it; a test compares every response with that description.
//
// The handlers have no state of other packages: [Sources] gives them functions. Each client that may connect can read.
// Calls that change something pass [Guard], which checks host and origin; their source writes them to the audit log.
package api
