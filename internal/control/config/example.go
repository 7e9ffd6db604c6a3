package config

import _ "embed"

// Example is a commented document with every key.
//
//go:embed example.yaml
var Example []byte
