package doctor

// Level says how much a finding matters.
type Level string

// The levels. Warn is for what works now and will not always, or not everywhere;
// Fail is for what keeps mail from arriving.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// rank orders levels by gravity.
func (l Level) rank() int {
	switch l {
	case Fail:
		return 2
	case Warn:
		return 1
	}
	return 0
}

// Finding is the answer of one check about one thing. The JSON keys are stable;
// strings may hold what a stranger's server said and are escaped before they are
// shown.
type Finding struct {
	// ID is one of Checks, such as "dns.srv.tcp".
	ID string `json:"id"`
	// Subject is what was looked at: a domain, a host, an address, a path.
	Subject string `json:"subject,omitempty"`
	Title   string `json:"title"`
	Level   Level  `json:"level"`
	// Expected and Found are sentences or values; Fix is what to do, empty for OK.
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found"`
	Fix      string `json:"fix,omitempty"`
}

// Report is everything that one run found.
type Report struct {
	// Status is the gravest level.
	Status   Level     `json:"status"`
	Findings []Finding `json:"findings"`
}

// ExitStatus is 0 for ok, 1 for warn and 2 for fail: what monitoring plugins
// return.
func (r Report) ExitStatus() int { return r.Status.rank() }

// Count is the number of findings of a level.
func (r Report) Count(l Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

func newReport(findings []Finding) Report {
	r := Report{Status: OK, Findings: findings}
	for _, f := range findings {
		if f.Level.rank() > r.Status.rank() {
			r.Status = f.Level
		}
	}
	return r
}

// Check describes a kind of finding for the reference.
type Check struct{ ID, Title, About string }

// Checks lists every finding that a run can bring, in the order of a report.
func Checks() []Check {
	return []Check{
		{"machine.clock", "Clock", "The clock is kept in step. Signed requests are valid for minutes, and 60 seconds of error is the most that other servers forgive."},
		{"machine.files", "Open files", "The process may open enough files for its connections."},
		{"machine.udp", "UDP buffers", "The kernel's limits of socket buffers are large enough for QUIC at speed."},
		{"machine.congestion", "Congestion control", "The congestion control of the configuration can be had; BBR keeps its speed on paths that lose packets."},
		{"data.folder", "Data folder", "The data folder exists, can be written, and is closed to other users."},
		{"data.space", "Free space", "The disk of the data folder has more room than the reserve."},
		{"media.ffmpeg", "ffmpeg", "The programs are there with which recordings are made to play everywhere. Without them originals play as they are."},
		{"media.sandbox", "Sandbox of ffmpeg", "What keeps ffmpeg from other files and from the network while it opens what strangers sent, layer by layer, as tried on this machine."},
		{"cert.file", "Certificate", "The certificate and key of each domain can be read, belong together, name what they should and are valid for two more weeks."},
		{"port.tcp", "Port, TCP", "A process listens on the TCP port, and which."},
		{"port.udp", "Port, UDP", "A process receives on the UDP port, and which."},
		{"answer.tcp", "VAM over TCP", "What answers there speaks VAM/1: TLS 1.3, ALPN h2, and the problem document of VAM/1 for a path that does not exist."},
		{"answer.udp", "VAM over UDP", "What answers there speaks VAM/1 over QUIC: ALPN h3. Without it, everything goes over TCP."},
		{"answer.clock", "Clock of the server", "The Date header of another server agrees with this machine's clock."},
		{"dns.srv.tcp", "SRV record for TCP", "The record that makes the domain speak VAM, and that it points to this server."},
		{"dns.srv.udp", "SRV record for UDP", "The record that offers HTTP/3, with targets and ports that the TCP record has too."},
		{"dns.target", "Addresses of the target", "Every SRV target has addresses that other servers may dial."},
		{"dns.key", "Keys in DNS", "Each key that this server signs with is published, letter for letter."},
		{"dns.policy", "Policy", "The policy record and the policy document are both there or both not, and the document can be read."},
		{"reach.tcp", "Reach over TCP", "Each server of the domain answers as VAM/1 on TCP and proves its identity by the rule that applies."},
		{"reach.udp", "Reach over UDP", "Each server of the domain answers on UDP; where it does not, mail goes over TCP."},
		{"cert.expiry", "Certificate in use", "The certificate that the servers of the domain show is valid for two more weeks."},
	}
}

// titleOf panics for an ID that is not among Checks: a finding that is not
// documented.
func titleOf(id string) string {
	for _, c := range Checks() {
		if c.ID == id {
			return c.Title
		}
	}
	panic("doctor: there is no check " + id)
}

// finding makes one with the title of its check.
func finding(id, subject string, level Level, expected, found, fix string) Finding {
	return Finding{ID: id, Subject: subject, Title: titleOf(id), Level: level, Expected: expected, Found: found, Fix: fix}
}
