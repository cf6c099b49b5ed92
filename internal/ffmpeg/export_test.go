package ffmpeg

// What the tests look at by itself: the sniffing, and the arguments, without the layers
// around them.
var (
	Sniff   = sniff
	Reading = reading
	Span    = span
	Texture = texture
)
