// Package activmail owns the grammar of VAM/1, the Video Active Mail protocol:
// log records and their RFC 6962 tree, signed checkpoints and proofs, offers,
// receipts, policy, request signatures, the mail header that binds a mail to a
// message, and problem types.
//
// It does no I/O, starts no goroutine and logs nothing. Every parser takes a
// stranger's bytes, is bounded by [Limits], and answers with a *[vam.Error] that
// names the rule and the limit. Requirement ids such as AM-4.3 are those of the
// specification in spec/.
package activmail
