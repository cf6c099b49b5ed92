package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// Port is the registered port of Video Active Mail, on TCP and UDP.
const Port = "1398"

// Config is everything that an administrator can set. Load returns it complete:
// defaults filled in, paths absolute, every value inside its limits.
type Config struct {
	Domain   vam.Domain `toml:"domain" doc:"The mail domain that this server serves. It is the only key without a default; for several domains, or a domain with a certificate of its own, write [[domains]] tables instead or beside it." example:"a.example"`
	Hostname string     `toml:"hostname" doc:"Name of this machine, as the SRV records of the domains point to it. Default: vam. and the first domain."`
	DataDir  string     `toml:"data_dir" doc:"Folder that holds the messages, the database and the keys. One server has it at a time. Relative paths, here and below, start at the folder of the configuration file. Default: the folder of the configuration file, or /var/lib/vam when that is under /etc."`
	Admin    string     `toml:"admin" doc:"Address of the person who runs this server; it is published to other servers. Default: postmaster at the first domain."`

	Domains   []Domain  `toml:"domains" doc:"One table for each domain beside the one of the key domain."`
	Listen    Listen    `toml:"listen" doc:"Where other servers and the users' programs connect to."`
	TLS       TLS       `toml:"tls" doc:"The certificate for every domain that has none of its own. It must be valid for the domains themselves; with DNSSEC, a TLSA record or a policy document it may name the hostname instead. A changed file is taken up without a restart."`
	DNS       DNS       `toml:"dns" doc:"How other domains are found."`
	Network   Network   `toml:"network" doc:"Which addresses this server may connect to."`
	Transport Transport `toml:"transport" doc:"How bytes travel between servers."`
	Delivery  Delivery  `toml:"delivery" doc:"How mail of this server's users goes out."`
	Contacts  Contacts  `toml:"contacts" doc:"What happens to a first message from somebody whom the recipient does not know."`
	Limits    Limits    `toml:"limits" doc:"What one person or one other server may use. A refusal names the limit."`
	Web       Web       `toml:"web" doc:"The pages that people without an account watch a message on: what a link opens."`
	Media     Media     `toml:"media" doc:"What is made of recordings so that they play everywhere: posters, previews, other forms."`
	Metrics   Metrics   `toml:"metrics" doc:"Prometheus metrics and health checks."`
	Log       Log       `toml:"log" doc:"What is written to standard error."`
}

// Domain is one mail domain.
type Domain struct {
	Name     vam.Domain `toml:"name" doc:"The domain, for example b.example. Names in other scripts may be written as they are." example:"b.example"`
	Hostname string     `toml:"hostname" doc:"Name that this domain's SRV records point to. Default: the hostname of the server."`
	TLS      TLS        `toml:"tls" doc:"A certificate for this domain alone."`
}

// Listen has one address list for each transport; both are always on unless a
// list is empty.
type Listen struct {
	TCP []string `toml:"tcp" doc:"Addresses for HTTP/2 over TLS. At least one: the SRV record for TCP is what makes a domain speak VAM."`
	UDP []string `toml:"udp" doc:"Addresses for HTTP/3 (QUIC). An empty list switches it off."`
}

// TLS names PEM files.
type TLS struct {
	Cert string `toml:"cert" doc:"PEM file with the certificate and its chain. Default for the server: tls/cert.pem in the data folder."`
	Key  string `toml:"key" doc:"PEM file with the private key. Default for the server: tls/key.pem in the data folder."`
}

// DNS configures the stub resolver.
type DNS struct {
	Servers []string `toml:"servers" doc:"Resolvers to ask, each as address or address:port. An empty list takes those of /etc/resolv.conf. DNSSEC answers are believed only from a resolver on loopback." example:"[\"127.0.0.1:53\"]"`
	Timeout Duration `toml:"timeout" doc:"How long one question may take before the next resolver is asked." min:"100ms" max:"1m"`
}

// Resolvers returns Servers with port 53 where they name none. Load has checked
// that each can be read.
func (d DNS) Resolvers() []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range d.Servers {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.AddrPortFrom(a, 53))
		} else if ap, err := netip.ParseAddrPort(s); err == nil {
			out = append(out, ap)
		}
	}
	return out
}

// AddrPorts reads listener addresses that Load has checked; an empty host is every
// address.
func AddrPorts(listeners []string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, l := range listeners {
		if strings.HasPrefix(l, ":") {
			l = "[::]" + l
		}
		if ap, err := netip.ParseAddrPort(l); err == nil {
			out = append(out, ap)
		}
	}
	return out
}

// Network bounds where a stranger's DNS records can make this server connect to.
type Network struct {
	AllowPrivate []netip.Prefix `toml:"allow_private" doc:"Networks that may be dialled although they are not public, for example for two servers in one building. Without it, private, loopback and link-local addresses are refused whatever a DNS record says." example:"[\"10.1.0.0/16\"]"`
}

// Transport configures the connections between servers.
type Transport struct {
	Prefer      string `toml:"prefer" oneof:"auto,tcp,udp" doc:"auto measures for each peer which of HTTP/2 over TCP and HTTP/3 over UDP is faster, and falls back at once; tcp and udp force one, for tests."`
	Congestion  string `toml:"congestion" doc:"Congestion control of TCP connections that send media: auto takes bbr where the kernel offers it, system leaves the kernel's own, any other word is a name from net.ipv4.tcp_available_congestion_control."`
	Connections int    `toml:"connections" min:"1" max:"8" doc:"Connections that one large transfer from one peer uses in parallel (AM-11.6)."`
}

// Delivery configures the outgoing queue.
type Delivery struct {
	DeliverBy   Duration `toml:"deliver_by" min:"1m" max:"30d" doc:"How long delivery is tried before the sender gets a bounce, where the sender did not say."`
	Parallel    int      `toml:"parallel" min:"1" max:"1000" doc:"Deliveries that run at the same time, to all domains together."`
	PerDomain   int      `toml:"per_domain" min:"1" max:"100" doc:"Deliveries that run at the same time to one domain."`
	DrainWithin Duration `toml:"drain_within" min:"5s" max:"10m" doc:"How long a stop waits for running transfers. What is not finished by then goes on after the next start."`
}

// Contacts configures the hold of first messages.
type Contacts struct {
	HoldFirst bool     `toml:"hold_first" doc:"Hold a first message from an unknown address until the recipient accepts it; none of its media is fetched before."`
	Hold      Duration `toml:"hold" min:"1h" max:"90d" doc:"How long a held message waits for a decision before it lapses."`
}

// Limits bounds what others can use.
type Limits struct {
	Message vam.Bytes `toml:"message" min:"1MiB" max:"1TiB" doc:"Largest message that is taken, in either direction. It is announced to other servers; below 1 GiB it is less than they may expect (AM-10.4)."`
	Quota   vam.Bytes `toml:"quota" min:"0" max:"1024TiB" doc:"Space for each account that has no quota of its own; 0 is no limit."`
	Reserve vam.Bytes `toml:"reserve" min:"0" max:"1TiB" doc:"Free space on the data folder's disk below which nothing new is taken."`
	Live    Duration  `toml:"live" min:"1m" max:"24h" doc:"Longest recording that can be sent while it is being made."`

	Senders   SenderLimits   `toml:"senders" doc:"Each account of this server."`
	Peers     PeerLimits     `toml:"peers" doc:"Each domain that somebody here has a contact at."`
	Strangers StrangerLimits `toml:"strangers" doc:"Each domain that nobody here knows yet."`
	Clients   ClientLimits   `toml:"clients" doc:"Connections, before anything is known about who makes them."`
}

// SenderLimits bound one account.
type SenderLimits struct {
	Messages   Rate `toml:"messages" doc:"Messages that one account may send."`
	Recipients int  `toml:"recipients" min:"1" max:"100" doc:"Recipients of one message."`
}

// PeerLimits bound one known domain.
type PeerLimits struct {
	Offers   Rate      `toml:"offers" doc:"Messages that the domain may offer."`
	PullDay  vam.Bytes `toml:"pull_day" min:"0" doc:"Media that is fetched from the domain in 24 hours; 0 is no limit. What is over it waits." max:"1024TiB"`
	Parallel int       `toml:"parallel" min:"1" max:"64" doc:"Messages that are fetched from the domain at the same time."`
}

// StrangerLimits bound one unknown domain.
type StrangerLimits struct {
	Offers     Rate `toml:"offers" doc:"Messages that the domain may offer."`
	Recipients Rate `toml:"recipients" doc:"Different people here that the domain may write to."`
}

// ClientLimits bound connections, before anything is known about who makes them.
type ClientLimits struct {
	Connections  int      `toml:"connections" min:"1" max:"1000000" doc:"Connections open at the same time, of everybody together, TCP and UDP."`
	PerAddress   int      `toml:"per_address" min:"1" max:"100000" doc:"Connections open at the same time from one IPv4 address or one IPv6 /64."`
	NewPerSecond int      `toml:"new_per_second" min:"1" max:"100000" doc:"New connections that one address may make in a second, in the long run."`
	Idle         Duration `toml:"idle" min:"5s" max:"5m" doc:"A connection without a request is closed after this time."`
}

// Web configures the watch pages.
type Web struct {
	Listen  []string `toml:"listen" doc:"Addresses for browsers: HTTPS with HTTP/1.1 and HTTP/2, with the same certificates. The listeners above answer the same pages to browsers that speak HTTP/2, so that a trial needs none; many networks let people reach port 443 only." example:"[\"[::]:443\"]"`
	URL     string   `toml:"url" doc:"What links begin with. Default: https://, the hostname, and the port of the first address for browsers unless that is 443, or of the first for servers where there is none." example:"https://video.a.example"`
	LinkFor Duration `toml:"link_for" min:"1h" max:"3650d" doc:"How long a link works for which nobody said anything else."`
}

// Media configures what is made of recordings.
type Media struct {
	FFmpeg     string `toml:"ffmpeg" doc:"The program ffmpeg, by name or path. Without it originals play as they are, and nothing is made of them."`
	FFprobe    string `toml:"ffprobe" doc:"The program ffprobe that belongs to it."`
	Unconfined bool   `toml:"unconfined" doc:"Let ffmpeg open files of strangers although this machine can confine it neither by Landlock nor by namespaces. Without it, nothing is made of them there."`
	Quick      int    `toml:"quick" min:"0" max:"256" doc:"Short jobs at the same time, such as posters; 0 is twice the number of processors."`
	Long       int    `toml:"long" min:"0" max:"64" doc:"Long jobs at the same time, such as other forms of a video; 0 is half the number of processors."`
}

// Metrics configures the operator's listener.
type Metrics struct {
	Listen string `toml:"listen" doc:"Address that answers /metrics, /healthz and /readyz over plain HTTP. Keep it on loopback or an inner network: it has no password. Empty switches it off."`
}

// Log configures the log.
type Log struct {
	Format string `toml:"format" oneof:"text,json" doc:"One line for each event, for people or for machines. Tokens are never written."`
	Level  string `toml:"level" oneof:"debug,info,warn,error" doc:"The least important event that is written."`
}

// Default returns every default that does not depend on another key. Each call
// returns a fresh value.
func Default() Config {
	const day = 24 * time.Hour
	return Config{
		Listen:    Listen{TCP: []string{"[::]:" + Port}, UDP: []string{"[::]:" + Port}},
		DNS:       DNS{Timeout: Duration{3 * time.Second}},
		Transport: Transport{Prefer: "auto", Congestion: "auto", Connections: 8},
		Delivery:  Delivery{DeliverBy: Duration{4 * day}, Parallel: 64, PerDomain: 8, DrainWithin: Duration{20 * time.Second}},
		Contacts:  Contacts{HoldFirst: true, Hold: Duration{14 * day}},
		Limits: Limits{
			Message:   10 * vam.GiB,
			Quota:     50 * vam.GiB,
			Reserve:   vam.GiB,
			Live:      Duration{4 * time.Hour},
			Senders:   SenderLimits{Messages: Rate{500, time.Hour, 100}, Recipients: 100},
			Peers:     PeerLimits{Offers: Rate{2000, time.Hour, 2000}, PullDay: 50 * vam.GiB, Parallel: 4},
			Strangers: StrangerLimits{Offers: Rate{20, time.Hour, 20}, Recipients: Rate{5, time.Hour, 5}},
			Clients:   ClientLimits{Connections: 20_000, PerAddress: 256, NewPerSecond: 50, Idle: Duration{3 * time.Minute}},
		},
		Web:     Web{LinkFor: Duration{30 * day}},
		Media:   Media{FFmpeg: "ffmpeg", FFprobe: "ffprobe"},
		Metrics: Metrics{Listen: "127.0.0.1:9398"},
		Log:     Log{Format: "text", Level: "info"},
	}
}
