// Package api holds the contract that other programs rely on: JSON Schemas of the messages on every topic.
package api

import "embed"

// Schemas holds schemas/<topic>.json, JSON Schema 2020-12, one file for each topic whose values are JSON of ours.
//
//go:embed schemas/*.json
var Schemas embed.FS
