// Package config is the document that people write: checked whole, with every
// mistake named at once, then compiled.
//
// There are two parts, which may share a file. The Node part (node, kafka,
// proxy, admin, console, data, telemetry) belongs to one process and needs a
// restart. The Traffic part (listeners, routes, services) is what
// `smartlb config apply` publishes and every node takes over while it serves.
//
// The journey: [Parse] walks the YAML tree against the Go types and collects
// unknown keys and wrong types, then checks what the values mean together, and
// returns either a document or [Mistakes] with line, path and what is allowed.
// [Compile] turns the Traffic part into a dispatch.Table without doing I/O;
// app, control and the CLI call both.
package config
