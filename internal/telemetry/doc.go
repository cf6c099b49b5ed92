// Package telemetry is what an operator sees of a running server: its log, its
// Prometheus metrics and its health checks, the last two on a listener of their
// own. Nothing here is global; two servers in one process have one set each.
package telemetry
