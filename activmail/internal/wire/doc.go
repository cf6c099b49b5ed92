// Package wire is what both ends of a VAM/1 connection do below HTTP: the congestion
// control of their sockets, TLS that writes many records in one system call, HTTP/2
// and QUIC settings that let one transfer fill a long path, and the count of octets
// that the HTTP connections carried.
package wire
