// Package mailauth proves who wrote a mail: it signs letters by DKIM (RFC 6376, with
// the Ed25519 of RFC 8463) and verifies that a mail's author, its signature and its
// VAM-Message header belong together (AM-12.3), with the alignment of DMARC
// (RFC 9989).
//
// DNS is reached through [TXTResolver] only. Every bound is checked before the DKIM
// library sees a byte, because its cost grows with what a stranger writes into a
// signature's tags.
package mailauth
