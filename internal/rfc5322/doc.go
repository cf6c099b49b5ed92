// Package rfc5322 owns the outer grammar of Internet mail: its header (RFC 5322, with
// the UTF-8 of RFC 6532 and the encoded words of RFC 2047) and how its MIME parts lie
// in one another (RFC 2046), within limits that hold before any other parser sees a
// stranger's bytes.
//
// Reading is strict where mail software disagrees, because two readings of one
// header are how a signature is made to vouch for something else: lines end in CRLF
// alone, a field name touches its colon, obsolete address forms are refused.
// Writing cannot produce a line that its caller did not ask for, whatever a person
// typed into a subject or a name.
package rfc5322
