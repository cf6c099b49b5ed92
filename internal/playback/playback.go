// Package playback owns what is made of a message's media so that it plays: what the
// recording is, the things that were made of it (poster, rendition …), and the jobs
// that make them.
//
// Nothing here stands before a message: the original is served from its first octet on,
// and what is made only makes it better. All of it belongs to the media and not to the
// message, so that forwards and further recipients share it, and goes with the media.
package playback

import (
	"context"
	"io"
	"time"

	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
)

// Asset is one thing that was made of a recording.
type Asset struct {
	Name          string     `json:"name"` // unique for the recording, as media.Work.Files has it
	Type          string     `json:"type"` // media type
	Size          int64      `json:"size"` // octets
	Width, Height int        `json:"-"`    // pixels; 0 when it is no picture
	Object        blob.ID    `json:"-"`    // where its octets are
	Work          media.Work `json:"-"`    // what made it
}

// Recording is one media object.
type Recording struct {
	Media blob.ID
	Size  int64 // octets, as the messages that carry it say; 0 when none does any more
}

// JobState is where a job stands.
type JobState string

// A job is Waiting for its time or a free place, Running, and then Done or Failed. A
// temporary failure makes it wait again; Failed is final until somebody asks again.
const (
	Waiting JobState = "waiting"
	Running JobState = "running"
	Done    JobState = "done"
	Failed  JobState = "failed"
)

// Job is one thing to make of one recording; a recording has at most one of each work.
type Job struct {
	ID int64
	Recording
	Message  message.Key // one of those that carry the media; zero when none does any more
	Work     media.Work
	Priority int // 0 is the most urgent, at most MaxPriority
	State    JobState
	Progress float64 // 0 to 1 while it runs
	Attempts int     // leases that ended in a temporary failure
	Cuts     int     // leases since then that ended without an outcome: the process died
	NextAt   time.Time
	Created  time.Time
	Started  time.Time // of the last lease; zero: never
	Changed  time.Time
	Code     media.Reason // of the last failure; "" is none
	Reason   string       // of the last failure, for the operator
}

// MaxPriority is the least urgent priority.
const MaxPriority = 7

// MaxReason is the longest reason that is kept, in octets; longer ones are cut.
const MaxReason = 500

// Look is what the store knows of a recording.
type Look struct {
	Known  bool // Info is
	Info   media.Info
	Assets []Asset // in order of name
	Jobs   []Job   // that are not done, the most urgent first
}

// Filter selects jobs for a listing.
type Filter struct {
	Media blob.ID  // zero: all
	State JobState // "": all that are not done
	Limit int      // 0 is 100
}

// Want is what a worker asks Lease for.
type Want struct {
	Owner      string // names the process
	Class      media.Class
	Now, Until time.Time // the lease ends at Until unless it is renewed
}

// Outcome is what a job that is done leaves behind.
type Outcome struct {
	Info   *media.Info  // what the recording is; nil: as it was
	Works  []media.Work // to be done next, the most urgent first
	Assets []Asset      // in the place of those that the same work made before
	At     time.Time
}

// Store keeps what is known of recordings. Every write is durable when it returns, and
// each is one commit: a process that is killed at any moment leaves a state from which
// the next one goes on. It costs as much with a million recordings as with ten.
type Store interface {
	// Fresh lists complete media that was not adopted yet, in no particular order.
	Fresh(ctx context.Context, limit int) ([]Recording, error)
	// Adopt strikes media off that list and adds its first jobs, the most urgent first;
	// info is what is known of the recording already, nil: nothing. Doing it again adds
	// what is missing. NotFound when the media is gone or condemned; then it is struck off
	// too.
	Adopt(ctx context.Context, id blob.ID, info *media.Info, works []media.Work, at time.Time) error
	// Info is what Adopt or a Probe said last. NotFound.
	Info(ctx context.Context, id blob.ID) (media.Info, error)
	// Look reads all that is known of a recording, at one moment; nothing of one that is not
	// there.
	Look(ctx context.Context, id blob.ID) (Look, error)
	// Asset finds one by name. NotFound.
	Asset(ctx context.Context, id blob.ID, name string) (Asset, error)

	// Jobs lists the oldest first.
	Jobs(ctx context.Context, f Filter) ([]Job, error)
	// Lease gives out the most urgent job that is due, of those the one that has waited
	// longest, and counts a cut that every outcome takes back. False when none is due. A
	// lease that is not renewed ends by itself at its time.
	Lease(ctx context.Context, w Want) (Job, bool, error)
	// Renew extends a lease and says how far the job has come. Conflict when owner does
	// not hold it any more.
	Renew(ctx context.Context, owner string, id int64, progress float64, until time.Time) error
	// Finish makes a job Done and records its outcome. Conflict when the lease was lost,
	// NotFound when the media is gone or condemned; then nothing was recorded.
	Finish(ctx context.Context, owner string, id int64, o Outcome) error
	// Retry makes a job wait until next, with one more attempt. Conflict.
	Retry(ctx context.Context, owner string, id int64, next time.Time, code media.Reason, reason string) error
	// Fail makes a job Failed. Conflict.
	Fail(ctx context.Context, owner string, id int64, at time.Time, code media.Reason, reason string) error
	// Return gives a job back that was not finished because the process stops. Conflict.
	Return(ctx context.Context, owner string, id int64, at time.Time) error
	// Release ends every lease that is not owner's, at start, when no other process can be
	// alive. Jobs that were cut as often as maxCuts become Failed with that code and
	// reason: they may be what kills the process.
	Release(ctx context.Context, owner string, maxCuts int, at time.Time, code media.Reason, reason string) error
	// NextDue is the next time after now at which the clock alone can bring Lease a job of
	// the class. Zero when nothing waits for its time.
	NextDue(ctx context.Context, class media.Class, now time.Time) (time.Time, error)
	// Again makes a Failed job wait as if it were new, and one that waits due. NotFound;
	// Conflict when it runs or is done.
	Again(ctx context.Context, id int64, at time.Time) (Job, error)
	// Revive does that for all that failed with one of the codes and returns how many.
	Revive(ctx context.Context, codes []media.Reason, at time.Time) (int, error)
	// Depth counts the jobs of a class that wait or run and says when the oldest of them
	// was made, zero for none.
	Depth(ctx context.Context, class media.Class) (jobs int64, oldest time.Time, err error)
}

// File is one file that a Maker has written.
type File struct {
	Name          string // in the folder, without a path
	Type          string // media type
	Width, Height int    // pixels; 0 when it is no picture
}

// Maker looks into recordings and makes things of them. It is safe for concurrent use.
// Its errors carry a media.Reason where the recording is the reason (see media.Refuse);
// those of a temporary kind are tried again, unless the reason is that a part of this
// server is missing (NoFFmpeg, NoSandbox): that is tried again after the next start.
type Maker interface {
	// Probe says what the recording in the file at path is.
	Probe(ctx context.Context, path string) (media.Info, error)
	// Make does the work on the recording at path and writes files into the folder dir,
	// which is empty. It calls progress now and then, from one goroutine at a time, with 0
	// to 1. When ctx ends it stops at once and leaves no process behind.
	Make(ctx context.Context, w media.Work, info media.Info, path, dir string, progress func(done float64)) ([]File, error)
}

// Scratch lends folders to jobs. What is in them may be lost at any time but not while
// the process lives.
type Scratch interface {
	// Clear removes everything; nobody may hold a Folder.
	Clear() error
	// Folder makes an empty folder.
	Folder() (Folder, error)
}

// Folder is one of them. Its names are plain file names.
type Folder interface {
	// Path is where it lies, for another process.
	Path() string
	// Create makes a file and says where it lies.
	Create(name string) (w io.WriteCloser, path string, err error)
	// Open opens a regular file that is in the folder itself, never what a link points to.
	// NotFound, Invalid.
	Open(name string) (r io.ReadCloser, size int64, err error)
	// Remove removes the folder and all that is in it.
	Remove() error
}
