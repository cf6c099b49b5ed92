// Package dnszone owns a small authoritative DNS server: the zones of `vam try` and
// of tests, in memory, changed while they are served.
//
// It answers over UDP and TCP from its own zones and forwards nothing. On request it
// fails like the real world does: SERVFAIL, silence, truncation.
package dnszone
