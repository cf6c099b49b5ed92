// Package blob is the contract of media storage, and the door through which
// strangers' bytes are verified before they reach it.
//
// An object holds the media of one message as one growing, possibly sparse run of
// octets, so that a finished message is served as one contiguous file. Beside it
// lie small whole blobs by hash: posters, texts, and parts that came before their
// place was known. A store knows no index: which spans of an object are there, and
// which parts they are, is kept by its caller, who records a span only after the
// Sync that made it durable. Whatever an object holds beyond the recorded spans is
// a torn tail, to be verified again or cut off.
//
// A file per part lost against this: an hour of live recording is 36,000 files, a
// range request opens hundreds of them, and each costs an fsync of its own.
//
// The package blobtest holds the conformance suite for implementations.
package blob

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"iter"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// ID names an object in a store. It is random, never derived from the content, and
// never used twice. The zero ID is no object.
type ID [16]byte

// NewID mints an ID. It panics only when the system has no randomness.
func NewID() ID {
	var id ID
	if _, err := rand.Read(id[:]); err != nil {
		panic(err)
	}
	return id
}

// ParseID reads the String form. Errors: Invalid.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return ID{}, errID()
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil || id.String() != s {
		return ID{}, errID()
	}
	return id, nil
}

func errID() error {
	return vam.Errorf(vam.Invalid, "not the name of a media object: 32 lower-case hex digits are wanted")
}

// String is 32 lower-case hex digits, safe in a file name and an object-store key.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Sum is the SHA-256 of a part and its name.
type Sum = activmail.Sum

// Store keeps objects. It is safe for concurrent use.
//
// Besides the errors that each method names, all of them return OverQuota when the
// disk is full (it heals by itself when space returns), Busy when the process is
// out of file handles, and Unavailable when the store cannot be written: because it
// is read-only, or because the disk lost written data and nothing may be trusted to
// it before a restart. Reads go on in all of these states.
type Store interface {
	// Create makes an empty object whose existence is durable when it returns. An
	// object that is there already is left as it is.
	Create(ctx context.Context, id ID) error
	// Open returns a handle; each must be closed. Handles of one object share what
	// they see. NotFound.
	Open(ctx context.Context, id ID) (Object, error)
	// Remove deletes the object and what lies beside it, durably. Handles and
	// readers that are open read on to their end; they can write no more. Removing
	// an object that is not there is no error.
	Remove(ctx context.Context, id ID) error
	// List walks all objects in no particular order, also those that a crash left
	// half created or half removed. Objects that come or go meanwhile may be missed.
	// It stops after the first error.
	List(ctx context.Context) iter.Seq2[ID, error]
	// Free is the room for new media: what the disk has left above the reserve that
	// is kept for everything else. It is never negative.
	Free(ctx context.Context) (vam.Bytes, error)
}

// Object is a handle on one object. It is safe for concurrent use. Offsets and sizes
// are in octets. After Close every method fails; after Remove the writing ones
// return NotFound.
type Object interface {
	// ID is the object's name.
	ID() ID
	// WriteAt is io.WriterAt: it writes all of p at off, in any order and with any
	// gaps; a gap reads as zeros. Only verified bytes may come here. Concurrent writes
	// must not overlap. After an error any part of p may have been written.
	WriteAt(p []byte, off int64) (int, error)
	// Sync makes everything durable that was written before the call. Concurrent
	// callers share one flush. After an error, other than that of ctx, nothing that
	// was written since the last successful Sync may be believed, even when it reads
	// back well: it has to be written again, through a handle that is opened after
	// all others of the object were closed.
	Sync(ctx context.Context) error
	// ReadAt is io.ReaderAt. Bytes can be read as soon as WriteAt has returned.
	ReadAt(p []byte, off int64) (int, error)
	// Reader reads the n octets from off on, in large steps, and ends with
	// io.ErrUnexpectedEOF where the object is shorter. It is not safe for concurrent
	// use, must be closed, and may be closed after the handle. It implements
	// io.WriterTo.
	Reader(off, n int64) io.ReadCloser
	// Size is the end of the furthest write.
	Size() int64
	// Truncate cuts the object off at n, or extends it with zeros. Durable with the
	// next Sync.
	Truncate(n int64) error
	// PutSide stores the whole blob p under its hash, durably; one that is there
	// already is left. Corrupt when p has another hash.
	PutSide(ctx context.Context, sum Sum, p []byte) error
	// Side opens a blob that PutSide stored and says how long it is. NotFound.
	Side(ctx context.Context, sum Sum) (r io.ReadSeekCloser, size int64, err error)
	// RemoveSide deletes it. One that is not there is no error. A power cut may bring
	// it back.
	RemoveSide(ctx context.Context, sum Sum) error
	// Close releases the handle. Closing twice is no error.
	Close() error
}
