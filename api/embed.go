// Package api holds the contract that other programs rely on: JSON Schemas of the messages on every topic, and the
// description of the HTTP API.
package api

import "embed"

// Schemas holds schemas/<topic>.json, JSON Schema 2020-12, one file for each topic whose values are JSON of ours.
//
//go:embed schemas/*.json
var Schemas embed.FS

// OpenAPI is openapi.yaml, OpenAPI 3.1: every call under /api/v1 and the schema of every answer.
//
//go:embed openapi.yaml
var OpenAPI []byte
