// Package kafka embeds the topic catalog and the lock files of Kafka's jars from
// its folder, so that the program and the files cannot differ.
package kafka

import "embed"

// Topics is topics.yaml. Package topic reads it.
//
//go:embed topics.yaml
var Topics []byte

// ACLs is acls.yaml: the permissions of each principal on a cluster with ACLs.
//
//go:embed acls.yaml
var ACLs []byte

// Locks has kafka-VERSION.lock for each installable version. Package
// distribution reads the lock files.
//
//go:embed kafka-*.lock
var Locks embed.FS

// Compose is docker-compose.yml and the files that its services mount.
//
//go:embed docker-compose.yml docker
var Compose embed.FS
