// Package netem emulates network paths in user space, for tests and benchmarks.
//
// Three links share one [Shaper], which says when, if at all, what enters a path
// comes out at its far end:
//
//   - [TCPLink] stands between two TCP speakers, delays both directions, limits
//     their rate, and cuts, stalls, refuses or resets on demand. It ends TCP, so
//     that the loss recovery of TCP itself is out of its reach;
//   - [UDPLink] does the same for datagrams, and loses, doubles and reorders them;
//   - [Wire] (Linux, root) joins two network namespaces by a pair of TUN devices,
//     so that the kernels' own TCP meets the delay and the loss end to end.
//
// A link never touches what lies outside of it: no routes, no packet filters, no
// queueing disciplines of the machine.
package netem
