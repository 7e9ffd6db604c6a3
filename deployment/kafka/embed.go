// Package kafka carries the topic catalog that lies beside it, so that the
// program and the file cannot differ.
package kafka

import _ "embed"

// Topics is topics.yaml. Package topic reads it.
//
//go:embed topics.yaml
var Topics []byte
