// Package bench measures how fast a cluster takes and gives synthetic records.
package bench
