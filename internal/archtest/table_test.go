package archtest_test

// A layer is a ring of the house, from the vocabulary in the centre to the
// technology at the rim (ARCHITECTURE.md).
type layer string

const (
	vocabulary  layer = "vocabulary"  // package vam: words, standard library only
	grammar     layer = "grammar"     // activmail: VAM/1 as text; no I/O
	wire        layer = "wire"        // transports that client and server share
	protocol    layer = "protocol"    // speaks and answers VAM/1; usable by other projects
	mechanism   layer = "mechanism"   // pure rules and contracts; no I/O, no logging
	service     layer = "service"     // state machines; each declares its store
	platform    layer = "platform"    // what the operating system does for adapters
	adapter     layer = "adapter"     // one technology each; none knows another
	settings    layer = "settings"    // the configuration file
	composition layer = "composition" // where adapters meet services
	program     layer = "program"     // commands
	fixture     layer = "fixture"     // fixtures, links with faults, benchmarks
)

// packages gives every package its layer; paths are relative to the module.
var packages = map[string]layer{
	"":                        vocabulary,
	"activmail":               grammar,
	"activmail/internal/wire": wire,
	"activmail/amclient":      protocol,
	"activmail/amserver":      protocol,
	"activmail/amtest":        fixture,

	"activmail/amtest/amvectors": fixture,

	"internal/blob":      mechanism,
	"internal/discovery": mechanism,
	"internal/fault":     mechanism,
	"internal/letter":    mechanism,
	"internal/isobmff":   mechanism,
	"internal/cmaf":      mechanism,
	"internal/hls":       mechanism,
	"internal/mailauth":  mechanism,
	"internal/media":     mechanism,
	"internal/rfc5322":   mechanism,
	"internal/userwire":  mechanism,
	"internal/speccheck": mechanism,
	"internal/stranger":  mechanism,

	"internal/account":    service,
	"internal/admission":  mechanism,
	"internal/delivery":   service,
	"internal/grant":      service,
	"internal/mailbox":    service,
	"internal/message":    service,
	"internal/playback":   service,
	"internal/queue":      service,
	"internal/reception":  service,
	"internal/retention":  service,
	"internal/submission": service,

	"internal/certs":       adapter,
	"internal/dnsresolver": adapter,
	"internal/dnszone":     adapter,
	"internal/doctor":      adapter,
	"internal/ffmpeg":      adapter,
	"internal/keyring":     adapter,
	"internal/localblob":   adapter,
	"internal/nativein":    adapter,
	"internal/nativeout":   adapter,
	"internal/portowner":   adapter,
	"internal/sqlite":      adapter,
	"internal/telemetry":   adapter,
	"internal/userapi":     adapter,
	"internal/userclient":  adapter,
	"internal/web":         adapter,
	"internal/wellknown":   adapter,

	"internal/sandbox": platform,

	"internal/config": settings,
	"internal/daemon": composition,

	"internal/archtest":              fixture,
	"internal/blob/blobtest":         fixture,
	"internal/fault/faulttest":       fixture,
	"internal/fault/powercut":        fixture,
	"internal/golden":                fixture,
	"internal/loopback":              fixture,
	"internal/netem":                 fixture,
	"internal/netns":                 fixture,
	"internal/hosttest":              fixture,
	"internal/isobmff/isobmfftest":   fixture,
	"internal/mailauth/mailauthtest": fixture,
	"internal/storetest":             fixture,
	"internal/web/webtest":           fixture,
	"e2e":                            fixture,
	"bench":                          fixture,
}

// subtrees gives a layer to every package below a folder.
var subtrees = map[string]layer{
	"cmd":   program,
	"e2e":   fixture,
	"bench": fixture,
}

// mayImport is the table of ARCHITECTURE.md. A layer that does not name itself
// has packages that do not know each other.
var mayImport = map[layer][]layer{
	vocabulary:  {},
	grammar:     {vocabulary},
	wire:        {vocabulary, grammar},
	protocol:    {vocabulary, grammar, wire},
	mechanism:   {vocabulary, grammar, mechanism},
	service:     {vocabulary, grammar, mechanism, service},
	platform:    {vocabulary},
	adapter:     {vocabulary, grammar, wire, protocol, mechanism, service, platform},
	settings:    {vocabulary},
	composition: {vocabulary, grammar, protocol, mechanism, service, platform, adapter, settings},
	program:     {vocabulary, grammar, protocol, mechanism, service, platform, adapter, settings, composition},
	fixture:     {vocabulary, grammar, wire, protocol, mechanism, service, platform, adapter, settings, composition, program, fixture},
}

// banned names parts of the standard library that a layer does without; an entry
// stands for the package alone, not for those below it.
var banned = map[layer][]string{
	vocabulary: {"os", "os/exec", "net", "net/http", "database/sql", "log", "log/slog"},
	grammar:    {"os", "os/exec", "net", "database/sql", "log"},
	mechanism:  {"os", "os/exec", "net/http", "database/sql", "log", "log/slog"},
	service:    {"os", "os/exec", "net", "net/http", "database/sql", "log"},
}

// modules names, for every foreign module, who may import it; a prefix ends with
// a slash. Whatever is not here is not a dependency of the program.
var modules = map[string][]string{
	"github.com/alecthomas/kong":          {"cmd/vam"},
	"github.com/dunglas/httpsfv":          {"activmail"},
	"github.com/dustin/go-humanize":       {"cmd/vam"},
	"github.com/emersion/go-message":      {"internal/letter", "internal/mailauth"},
	"github.com/emersion/go-msgauth":      {"internal/letter", "internal/mailauth"},
	"github.com/miekg/dns":                {"internal/dnsresolver", "internal/dnszone"},
	"github.com/pelletier/go-toml/v2":     {"internal/config"},
	"github.com/pressly/goose/v3":         {"internal/sqlite"},
	"github.com/prometheus/client_golang": {"internal/telemetry", "internal/daemon"},
	"github.com/quic-go/quic-go":          {"activmail/", "internal/doctor", "internal/stranger", "internal/nativeout"},
	"github.com/sethvargo/go-retry":       {"internal/nativeout"},
	"golang.org/x/crypto":                 {"internal/discovery", "internal/grant"},
	"golang.org/x/image":                  {"internal/ffmpeg"},
	"golang.org/x/mod":                    {"activmail"},
	"golang.org/x/net":                    {"activmail/", "internal/config", "internal/discovery", "internal/letter", "internal/rfc5322"},
	"golang.org/x/sync":                   {"activmail/", "internal/", "cmd/vam"},
	"golang.org/x/sys":                    {"activmail/internal/wire", "internal/localblob", "internal/doctor", "internal/daemon", "internal/sandbox", "cmd/vam"},
	"golang.org/x/term":                   {"cmd/vam"},
	"golang.org/x/time":                   {"activmail/", "internal/"},
	"modernc.org/sqlite":                  {"internal/sqlite"},
}
