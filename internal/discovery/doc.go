// Package discovery owns the way from a domain name to the servers that answer VAM
// for it, and to the proof that a server is the right one: SRV, TLSA and policy
// records become ordered endpoints, each with the addresses that may be dialled and
// the certificate that must be shown (AM-2).
//
// It opens no socket. DNS comes through [Resolver], the policy document through
// [PolicySource]; both answer with lifetimes, and what was learnt is kept that long,
// within bounds.
package discovery
