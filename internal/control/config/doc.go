// Package config reads the configuration document of the operator. It checks the whole document, reports all mistakes
// at once, and compiles it.
//
// The document has two parts, which may share a file. The Node part (node, kafka, proxy, admin, console, data, signing,
// telemetry) belongs to one process; a change requires a restart. The Traffic part (listeners, routes, services) is
// published by `smartlb config apply`, and every node applies it while it serves.
//
// [Parse] walks the YAML tree along the Go types and collects unknown keys and wrong types. Then it checks the values
// together. It returns either a document or [Mistakes] with line, path and the allowed values. [Compile] converts the
// Traffic part to a dispatch.Table without I/O. Packages app and control and the CLI call both.
package config
