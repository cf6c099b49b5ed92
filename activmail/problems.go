package activmail

import (
	"net/http"

	"github.com/videoactivmail/vam"
)

// Again says what to do after a problem (spec/problems.md).
type Again string

// The three ways to go on.
const (
	Never Again = "never" // the same request cannot succeed
	Later Again = "later" // by the retry schedule, or after Retry-After
	Now   Again = "now"   // at once, changed as the problem says
)

// problemRow is one row of the registry.
type problemRow struct {
	name   string
	status int
	code   string // RFC 3463
	again  Again
	kind   vam.ErrorKind // what a client makes of it
	title  string
}

// ProblemNames lists the registry, in its order.
func ProblemNames() []string {
	rows := problemRows()
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.name
	}
	return names
}

// problemRows is the registry of spec/problems.md. not-vam never stands on the wire
// between servers; its status is for a domain's own users.
func problemRows() []problemRow {
	return []problemRow{
		{"malformed", http.StatusBadRequest, "5.5.2", Never, vam.Invalid, "Not in the form that the protocol wants"},
		{"version", http.StatusNotImplemented, "5.5.4", Now, vam.Invalid, "A version that is not spoken here"},
		{"signature-invalid", http.StatusUnauthorized, "5.7.20", Never, vam.Unauthenticated, "The request signature is not valid"},
		{"key-not-found", http.StatusUnauthorized, "4.7.0", Later, vam.Unavailable, "The key of the signature cannot be found now"},
		{"token-invalid", http.StatusUnauthorized, "4.7.0", Now, vam.Unauthenticated, "The token is not valid"},
		{"author-unaligned", http.StatusForbidden, "5.7.26", Never, vam.Denied, "The author could not be verified"},
		{"policy", http.StatusForbidden, "5.7.1", Never, vam.Denied, "Not allowed here"},
		{"blocked", http.StatusForbidden, "5.7.1", Never, vam.Denied, "Blocked"},
		{"spam", http.StatusForbidden, "5.7.1", Never, vam.Denied, "Taken for spam"},
		{"legal", http.StatusUnavailableForLegalReasons, "5.7.1", Never, vam.Denied, "Forbidden by law"},
		{"not-found", http.StatusNotFound, "5.1.6", Never, vam.NotFound, "Nothing here"},
		{"no-such-recipient", http.StatusNotFound, "5.1.1", Never, vam.NotFound, "No such mailbox"},
		{"not-our-domain", http.StatusMisdirectedRequest, "5.1.2", Later, vam.Unavailable, "This server does not act for that domain"},
		{"not-vam", http.StatusUnprocessableEntity, "5.1.2", Never, vam.NotVAM, "The domain does not accept video mail"},
		{"revoked", http.StatusGone, "5.7.1", Never, vam.Gone, "Taken back by its author"},
		{"expired", http.StatusGone, "5.4.7", Never, vam.Gone, "Expired"},
		{"offer-conflict", http.StatusConflict, "5.6.0", Never, vam.Conflict, "Something else has that name"},
		{"log-position", http.StatusPreconditionFailed, "", Now, vam.Conflict, "The log has another length"},
		{"digest-mismatch", http.StatusUnprocessableEntity, "5.6.0", Never, vam.Corrupt, "The octets do not match their hash"},
		{"checkpoint-inconsistent", http.StatusUnprocessableEntity, "5.6.0", Never, vam.Corrupt, "The signed log contradicts itself"},
		{"too-large", http.StatusRequestEntityTooLarge, "5.3.4", Never, vam.TooLarge, "Larger than a fixed limit"},
		{"quota", http.StatusInsufficientStorage, "4.2.2", Later, vam.OverQuota, "The mailbox is full"},
		{"disk-full", http.StatusInsufficientStorage, "4.3.1", Later, vam.OverQuota, "The server has no room"},
		{"rate", http.StatusTooManyRequests, "4.7.0", Later, vam.Busy, "Too much in too short a time"},
		{"busy", http.StatusServiceUnavailable, "4.3.2", Later, vam.Unavailable, "Busy"},
		{"maintenance", http.StatusServiceUnavailable, "4.3.2", Later, vam.Unavailable, "Being serviced"},
		{"early-data", http.StatusTooEarly, "4.7.0", Now, vam.Unavailable, "Sent before the handshake was done"},
		{"timeout", http.StatusRequestTimeout, "4.4.2", Later, vam.Unavailable, "It took too long"},
		{"internal", http.StatusInternalServerError, "4.3.0", Later, vam.Unavailable, "Something went wrong"},
	}
}

func problemNamed(name string) (problemRow, bool) {
	for _, r := range problemRows() {
		if r.name == name {
			return r, true
		}
	}
	return problemRow{}, false
}

// defaultProblem names the problem of an error that has a kind only.
func defaultProblem(kind vam.ErrorKind) string {
	switch kind {
	case vam.Invalid:
		return "malformed"
	case vam.Unauthenticated:
		return "token-invalid"
	case vam.Denied:
		return "policy"
	case vam.NotFound:
		return "not-found"
	case vam.Gone:
		return "expired"
	case vam.Conflict:
		return "offer-conflict"
	case vam.TooLarge:
		return "too-large"
	case vam.OverQuota:
		return "quota"
	case vam.Busy:
		return "rate"
	case vam.Unavailable:
		return "busy"
	case vam.Corrupt:
		return "digest-mismatch"
	case vam.NotVAM:
		return "not-vam"
	}
	return "internal"
}

// problemOfStatus names what a status says by itself (AM-9.3): an unknown failure of
// class 4 is permanent, any other temporary.
func problemOfStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "signature-invalid"
	case http.StatusForbidden:
		return "policy"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "not-found"
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return "timeout"
	case http.StatusConflict:
		return "offer-conflict"
	case http.StatusGone:
		return "expired"
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return "log-position"
	case http.StatusRequestEntityTooLarge:
		return "too-large"
	case http.StatusMisdirectedRequest:
		return "not-our-domain"
	case http.StatusUnprocessableEntity:
		return "digest-mismatch"
	case http.StatusTooEarly:
		return "early-data"
	case http.StatusTooManyRequests:
		return "rate"
	case http.StatusUnavailableForLegalReasons:
		return "legal"
	case http.StatusInternalServerError:
		return "internal"
	case http.StatusNotImplemented:
		return "version"
	case http.StatusInsufficientStorage:
		return "disk-full"
	}
	if status/100 == 4 {
		return "malformed"
	}
	return "busy"
}
