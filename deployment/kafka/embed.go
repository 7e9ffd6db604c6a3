// Package kafka carries the topic catalog and the locks of Kafka's jars that
// lie beside it, so that the program and the files cannot differ.
package kafka

import "embed"

// Topics is topics.yaml. Package topic reads it.
//
//go:embed topics.yaml
var Topics []byte

// ACLs is acls.yaml: which principal may do what on a cluster with ACLs.
//
//go:embed acls.yaml
var ACLs []byte

// Locks has kafka-VERSION.lock for each version that can be installed. Package
// distribution reads them.
//
//go:embed kafka-*.lock
var Locks embed.FS

// Compose is docker-compose.yml and what its services mount.
//
//go:embed docker-compose.yml docker
var Compose embed.FS
