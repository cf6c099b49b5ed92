// Package stranger owns what happens to those who knock on port 1398 and do not mean
// VAM: it recognises them by their first octets or by how their handshake ended, ends
// them with the short answers of AM-11.18, and names them by a small set of kinds that
// can be counted and logged within bounds (AM-11.19).
//
// [Wrap] goes around a TCP listener, below TLS, and costs nothing once the first octet
// of TLS was seen. [FromHandshake] and [FromDatagram] name the rest. Nothing here
// starts a goroutine, counts or logs.
package stranger
