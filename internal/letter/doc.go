// Package letter turns a message into an ordinary RFC 5322 mail and reads such a
// mail back for a person to see (AM-12.1). The same letter travels natively inside
// an offer and by SMTP; its VAM-Message header is what names the message log.
//
// The package makes and reads bytes only: package mailauth signs a letter and says
// who wrote one.
package letter
