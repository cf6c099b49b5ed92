// Package amclient speaks VAM/1 to one peer: the inbound side of a recipient's domain
// (offers) and the outbound side of an origin (logs, media, receipts).
//
// A [Dialer] is made once per process: it owns the sockets, the shared UDP socket of
// all HTTP/3 connections and the rule about which addresses may be dialled. A [Client]
// is one peer with its connections, its measured transports and its request key. Every
// operation is one method, safe for concurrent use, bounded in what it reads, and
// returns a *[vam.Error] for everything that a peer or a network can do.
package amclient
