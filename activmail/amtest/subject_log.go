package amtest

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

func answerRecord(in input) (Fields, error) {
	line := []byte(in.Text("line"))
	r, err := activmail.ParseRecord(line, activmail.DefaultLimits())
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("leaf", hexOf(activmail.LeafHash(line)))
	out.Add("kind", string(r.Kind))
	out.Add("known", r.Kind.Known())
	if r.HasBlob() {
		out.Add("blob", r.Blob.String())
		out.Add("length", int64(r.Length))
	}
	if r.Timed {
		out.Add("time-ns", nanoseconds(r.Time))
	}
	if r.Timed || r.Duration != 0 {
		out.Add("duration-ns", nanoseconds(r.Duration))
	}
	out.Add("independent", r.Independent)
	if r.Kind == activmail.RecordSeal {
		out.Add("bytes", int64(r.Bytes))
		out.Add("sha256", r.SHA256.String())
	}
	for _, f := range []struct{ name, value string }{
		{"content-type", r.ContentType},
		{"track", r.Track},
		{"lang", r.Lang},
		{"name", r.Name},
		{"at", stamp(r.At)},
		{"why", r.Why},
	} {
		if f.value != "" {
			out.Add(f.name, f.value)
		}
	}
	return out, nil
}

func answerLog(in input) (Fields, error) {
	v := activmail.NewValidator(activmail.DefaultLimits())
	var out Fields
	for _, line := range in.All("line") {
		e, err := v.Append(line)
		if err != nil {
			out.Add("refused", v.Size())
			return out, err
		}
		out.Add("leaf", hexOf(e.Leaf))
		out.Add("offset", int64(e.Offset))
	}
	_, sealed := v.Sealed()
	_, revoked := v.Revoked()
	expire, _ := v.Expires()
	out.Add("size", v.Size())
	out.Add("root", hexOf(v.Tree().Root()))
	out.Add("media-bytes", int64(v.MediaBytes()))
	out.Add("media-identity", v.MediaIdentity().String())
	out.Add("sealed", sealed)
	out.Add("revoked", revoked)
	out.Add("expires", stamp(expire.At))
	return out, nil
}

func answerLogBody(in input) (Fields, error) {
	d := activmail.NewLogDecoder(bytes.NewReader([]byte(in.Text("body"))), activmail.DefaultLimits())
	var out Fields
	for {
		line, err := d.Next()
		if errors.Is(err, io.EOF) {
			out.Add("checkpoint", d.Checkpoint())
			return out, nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			// What was whole is kept; the rest is asked for again (AM-7.7).
			out.Add("cut", true)
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out.Add("line", bytes.Clone(line))
	}
}

// answerFollow is a follower that holds all lines and compares every checkpoint with the
// root that it computes (AM-5.10, AM-5.11).
func answerFollow(in input) (Fields, error) {
	key, err := activmail.ParseMessageKey(in.Text("key"))
	if err != nil {
		return nil, err
	}
	origin, mid := messageOf(in)
	v := activmail.NewValidator(activmail.DefaultLimits())
	trees := []activmail.Tree{v.Tree().Clone()}
	for _, line := range in.All("line") {
		if _, err := v.Append(line); err != nil {
			return nil, err
		}
		trees = append(trees, v.Tree().Clone())
	}
	var out Fields
	for _, text := range in.All("checkpoint") {
		cp, err := activmail.OpenCheckpoint(text, origin, mid, key)
		if err != nil {
			return out, err
		}
		if err := cp.Check(&trees[min(cp.Size, v.Size())]); err != nil {
			return out, err
		}
		out.Add("size", cp.Size)
	}
	return out, nil
}

func answerTree(in input) (Fields, error) {
	var t activmail.Tree
	for _, leaf := range in.All("leaf") {
		t.Append(activmail.LeafHash(leaf))
	}
	var out Fields
	out.Add("size", t.Size())
	out.Add("root", hexOf(t.Root()))
	return out, nil
}

// messageOf reads the origin and the id that a checkpoint is for.
func messageOf(in input) (vam.Domain, vam.MessageID) {
	return vam.Domain(in.Text("origin")), vam.MessageID(in.Text("mid"))
}

func answerCheckpoint(in input) (Fields, error) {
	key, err := activmail.ParseMessageKey(in.Text("key"))
	if err != nil {
		return nil, err
	}
	origin, mid := messageOf(in)
	cp, err := activmail.OpenCheckpoint([]byte(in.Text("text")), origin, mid, key)
	if err != nil {
		return nil, err
	}
	var out Fields
	out.Add("size", cp.Size)
	out.Add("root", hexOf(cp.Root))
	return out, nil
}

func answerSignCheckpoint(in input) (Fields, error) {
	seed, err := activmail.ParseSum(in.Text("seed"))
	if err != nil {
		return nil, err
	}
	cp, err := checkpointOf(in, "size", "root")
	if err != nil {
		return nil, err
	}
	origin, mid := messageOf(in)
	text, err := activmail.SignCheckpoint(cp, origin, mid, ed25519.NewKeyFromSeed(seed[:]))
	var out Fields
	out.Add("text", text)
	return out, err
}

func checkpointOf(in input, size, root string) (activmail.Checkpoint, error) {
	n, err1 := in.integer(size)
	h, err2 := in.hash(root)
	return activmail.Checkpoint{Size: n, Root: h}, errors.Join(err1, err2)
}

func answerInclusion(in input) (Fields, error) {
	leaf, err1 := in.integer("leaf")
	hash, err2 := in.hash("hash")
	cp, err3 := checkpointOf(in, "size", "root")
	proof, err4 := in.hashes("proof")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return nil, activmail.VerifyInclusion(activmail.Proof{Hashes: proof}, leaf, hash, cp)
}

func answerConsistency(in input) (Fields, error) {
	old, err1 := checkpointOf(in, "old-size", "old-root")
	cp, err2 := checkpointOf(in, "size", "root")
	proof, err3 := in.hashes("proof")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return nil, activmail.VerifyConsistency(activmail.Proof{Hashes: proof}, old, cp)
}

// leavesOf reads a log by the data of its leaves.
func leavesOf(in input) activmail.LeafReader {
	var all []activmail.Hash
	for _, leaf := range in.All("leaf") {
		all = append(all, activmail.LeafHash(leaf))
	}
	return func(from, to int64) ([]activmail.Hash, error) {
		if to > int64(len(all)) {
			return nil, vam.Wrap(vam.Conflict, &activmail.PositionError{Size: int64(len(all))}, "the log has %d lines", len(all)).WithProblem("log-position")
		}
		return all[from:to], nil
	}
}

func answerProveInclusion(in input) (Fields, error) {
	leaf, err1 := in.integer("index")
	size, err2 := in.integer("size")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	p, err := activmail.ProveInclusion(leaf, size, leavesOf(in))
	return proofFields(p), err
}

func answerProveConsistency(in input) (Fields, error) {
	from, err1 := in.integer("from")
	size, err2 := in.integer("size")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	p, err := activmail.ProveConsistency(from, size, leavesOf(in))
	return proofFields(p), err
}

func answerProof(in input) (Fields, error) {
	p, err := activmail.ParseProof([]byte(in.Text("body")), activmail.DefaultLimits())
	return proofFields(p), err
}

func proofFields(p activmail.Proof) Fields {
	var out Fields
	for _, h := range p.Hashes {
		out.Add("proof", hexOf(h))
	}
	return out
}
