// Package dnsresolver owns the questions that this server asks of DNS: a stub resolver
// on github.com/miekg/dns behind the Resolver interface of package discovery.
//
// It asks recursive servers over UDP, over TCP when an answer is truncated, and keeps
// no cache: those who ask know how long an answer is good for.
package dnsresolver
