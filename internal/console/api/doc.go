// Package api is the HTTP API under /api/v1 that the admin listener of every
// node and the console mount alike; api/openapi.yaml describes it and a test
// holds every answer against that description.
//
// The handlers know no other package's state: [Sources] gives them functions.
// Reading is open to whoever may connect; what changes something goes through
// [Guard] (host and origin checks) and is audited by its source.
package api
