package activmail

import (
	"crypto/ed25519"

	"github.com/videoactivmail/vam"
)

// CheckpointType is the media type of a checkpoint text.
const CheckpointType = "application/vnd.vam.checkpoint"

// Checkpoint is what a message key signs: that the log has Size lines under Root.
type Checkpoint struct {
	Size int64
	Root Hash
}

// CheckpointName is the first line of a checkpoint and the name of its key:
// "a.example/vam/MID".
func CheckpointName(origin vam.Domain, mid vam.MessageID) string {
	return string(origin) + "/vam/" + string(mid)
}

// SignCheckpoint writes a C2SP tlog-checkpoint signed by the message key.
func SignCheckpoint(cp Checkpoint, origin vam.Domain, mid vam.MessageID, key ed25519.PrivateKey) ([]byte, error) {
	return nil, vam.Errorf(vam.Internal, "not written yet")
}

// OpenCheckpoint verifies text. Errors: Invalid (not a checkpoint, or of another
// message), Unauthenticated (wrong signature), TooLarge.
func OpenCheckpoint(text []byte, origin vam.Domain, mid vam.MessageID, key ed25519.PublicKey) (Checkpoint, error) {
	return Checkpoint{}, vam.Errorf(vam.Internal, "not written yet")
}
