// Package run is `smartlb run`: any set of roles in one process.
package run
