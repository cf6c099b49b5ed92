package doctor

import (
	"fmt"
	"strings"
)

// Media is what is known of the programs that look into recordings.
type Media struct {
	// FFmpeg is the program with its version; Err is why it cannot be used.
	FFmpeg string
	Err    error
	// Layers are what confines it, as they were tried on this machine; Confined says that
	// they keep it from other files and from the network.
	Layers   []Layer
	Confined bool
	// Unconfined is media.unconfined: it may run without.
	Unconfined bool
}

// Layer is one way to confine a program.
type Layer struct {
	Name   string
	Active bool
	Detail string // what it stopped, or why it is not there
}

func checkMedia(m Media) []Finding {
	if m.Err != nil {
		return []Finding{finding("media.ffmpeg", "", Warn, "ffmpeg and ffprobe, with which recordings are made to play everywhere", m.Err.Error(),
			"apt-get install ffmpeg, or set media.ffmpeg and media.ffprobe; until then originals play as they are, without posters or other forms")}
	}
	return []Finding{
		finding("media.ffmpeg", "", OK, "ffmpeg and ffprobe", m.FFmpeg, ""),
		confinement(m),
	}
}

func confinement(m Media) Finding {
	const expected = "what strangers send is opened where neither other files nor the network can be reached"
	var active, missing []string
	for _, l := range m.Layers {
		if l.Active {
			active = append(active, l.Name)
		} else {
			missing = append(missing, fmt.Sprintf("%s (%s)", l.Name, l.Detail))
		}
	}
	found := "active: " + orNone(active)
	if len(missing) > 0 {
		found += "; not here: " + strings.Join(missing, ", ")
	}
	const fix = "run a kernel with Landlock (5.13 or newer), or let the user that runs vam make user namespaces (sysctl kernel.unprivileged_userns_clone=1)"
	switch {
	case m.Confined:
		return finding("media.sandbox", "", OK, expected, found, "")
	case m.Unconfined:
		return finding("media.sandbox", "", Fail, expected, found+"; media.unconfined lets it run all the same", fix+", and then set media.unconfined = false")
	}
	return finding("media.sandbox", "", Warn, expected, found+"; so nothing is made of recordings", fix)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
