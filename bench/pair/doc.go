// Package pair runs two domains as users would: two `vam serve` processes with a
// data folder each, DNS of their own, certificates of a local authority, and a path
// between them that is the loopback device, links in user space that delay, limit,
// cut and count, or a wire between two network namespaces.
//
// Everything that a pair starts ends with its Close: the processes by their id, the
// links, the DNS servers, the folders.
package pair
