package amtest

import (
	"context"
	"strconv"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Reference answers vectors with package activmail.
type Reference struct{}

// operation answers one op; its error becomes the name of a problem.
type operation func(in input) (Fields, error)

// Answer runs one operation.
func (Reference) Answer(_ context.Context, op string, in Fields) (Answer, error) {
	run, ok := operations()[op]
	if !ok {
		return Answer{Result: ResultSkip}, nil
	}
	out, err := run(input{in})
	if err != nil {
		// Values beside a problem are for the cases that ask for them.
		return Answer{Result: activmail.ProblemFor(err).Name, Out: out}, nil
	}
	return Answer{Result: ResultOK, Out: out}, nil
}

// operations is the table of spec/vectors/README.md.
func operations() map[string]operation {
	return map[string]operation{
		"domain":     answerDomain,
		"address":    answerAddress,
		"message-id": answerMessageID,

		"record":            answerRecord,
		"log":               answerLog,
		"log-body":          answerLogBody,
		"follow":            answerFollow,
		"tree":              answerTree,
		"checkpoint":        answerCheckpoint,
		"sign-checkpoint":   answerSignCheckpoint,
		"inclusion":         answerInclusion,
		"consistency":       answerConsistency,
		"prove-inclusion":   answerProveInclusion,
		"prove-consistency": answerProveConsistency,
		"proof":             answerProof,
		"offer":             answerOffer,
		"answer":            answerAnswer,
		"receipt":           answerReceipt,
		"recipient-id":      answerRecipientID,
		"head":              answerHead,
		"token":             answerToken,
		"token-request":     answerTokenRequest,
		"token-grant":       answerTokenGrant,
		"policy":            answerPolicy,
		"policy-record":     answerPolicyRecord,
		"message-header":    answerMessageHeader,
		"binding":           answerBinding,
		"problem":           answerProblem,
		"read-problem":      answerReadProblem,
		"key-id":            answerKeyID,
		"key-record":        answerKeyRecord,
		"content-digest":    answerContentDigest,
		"sign-request":      answerSignRequest,
		"verify-request":    answerVerifyRequest,
		"accept-signature":  answerAcceptSignature,
		"signature-base":    answerSignatureBase,
		"message-signature": answerMessageSignature,
	}
}

// input reads the values of a case by type. A value that is missing or of the wrong
// form is a fault of the vector, and answered as malformed like one of the message.
type input struct{ Fields }

func (in input) integer(name string) (int64, error) {
	n, err := strconv.ParseInt(in.Text(name), 10, 64)
	if err != nil {
		return 0, vam.Wrap(vam.Invalid, err, "the input %s is not a number", name)
	}
	return n, nil
}

func (in input) hash(name string) (activmail.Hash, error) {
	hashes, err := in.hashes(name)
	if err == nil && len(hashes) != 1 {
		err = vam.Errorf(vam.Invalid, "the input %s is not there once", name)
	}
	if err != nil {
		return activmail.Hash{}, err
	}
	return hashes[0], nil
}

// hashes reads tree hashes in hex.
func (in input) hashes(name string) ([]activmail.Hash, error) {
	var out []activmail.Hash
	for _, text := range in.All(name) {
		sum, err := activmail.ParseSum(string(text))
		if err != nil {
			return nil, err
		}
		out = append(out, activmail.Hash(sum))
	}
	return out, nil
}

func hexOf(h activmail.Hash) string { return activmail.Sum(h).String() }

func nanoseconds(d time.Duration) int64 { return int64(d) }

// stamp writes a time as on the wire; "" is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

func answerDomain(in input) (Fields, error) {
	ref, err := activmail.ParseMessageRef(in.Text("domain") + "/019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10")
	var out Fields
	out.Add("domain", string(ref.Origin))
	return out, err
}

func answerMessageID(in input) (Fields, error) {
	id, err := vam.ParseMessageID(in.Text("id"))
	var out Fields
	out.Add("time-ms", id.Time().UnixMilli())
	return out, err
}

func answerAddress(in input) (Fields, error) {
	addr, err := activmail.ParseAddress(in.Text("address"))
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("local", addr.Local)
	out.Add("domain", string(addr.Domain))
	out.Add("key", addr.Key())
	return out, nil
}
