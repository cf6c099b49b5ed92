package viewer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// sourceOf finds what a page plays: the address in the first source, or in the video
// itself.
var sourceOf = regexp.MustCompile(`<(?:source|video)\b[^>]*?\ssrc="([^"]*)"`)

// beginning is how much of a recording a player has read when it knows what it is.
const beginning = 64 << 10

// Play opens a page and goes on until the beginning of what it plays is here, as a
// browser would: while the page has nothing to play it waits for news. It returns the
// path that plays.
func (c *Client) Play(ctx context.Context, page string) (string, error) {
	for {
		body, err := c.Get(ctx, page)
		if err != nil {
			return "", err
		}
		if m := sourceOf.FindSubmatch(body); m != nil {
			source, err := resolve(page, html.UnescapeString(string(m[1])))
			if err != nil {
				return "", err
			}
			_, err = c.Head(ctx, source, beginning)
			return source, err
		}
		if err := c.news(ctx, page); err != nil {
			return "", err
		}
	}
}

// news waits until the state of a page is another one, or says that it plays.
func (c *Client) news(ctx context.Context, page string) error {
	var tag string
	for {
		body, err := c.Get(ctx, page+"/state?tag="+url.QueryEscape(tag))
		if err != nil {
			return err
		}
		var s struct {
			Tag, Sentence  string
			Playable, Live bool
		}
		if err := json.Unmarshal(body, &s); err != nil {
			return err
		}
		if s.Playable {
			return nil
		}
		if !s.Live {
			return fmt.Errorf("nothing will play: %s", s.Sentence)
		}
		tag = s.Tag
	}
}

// Settled waits until nothing is made any more of the message behind a page.
func (c *Client) Settled(ctx context.Context, page string) error {
	var tag string
	for {
		body, err := c.Get(ctx, page+"/state?tag="+url.QueryEscape(tag))
		if err != nil {
			return err
		}
		var s struct {
			Tag  string
			Live bool
		}
		if err := json.Unmarshal(body, &s); err != nil {
			return err
		}
		if !s.Live {
			return nil
		}
		tag = s.Tag
	}
}

// Missing reports whether err is an answer that there is no such thing (yet).
func Missing(err error) bool {
	var s *Status
	return errors.As(err, &s) && s.Code == http.StatusNotFound
}

// HLS is what a player of HLS reads before the first picture.
type HLS struct {
	Init, Segment []byte
	Playlists     int // octets of all playlists
	Segments      int // in the media playlist
}

var mapURI = regexp.MustCompile(`#EXT-X-MAP:.*?URI="([^"]*)"`)

// OpenHLS reads the playlists from path on, the header and the first segment (RFC 8216).
func (c *Client) OpenHLS(ctx context.Context, path string) (HLS, error) {
	var out HLS
	for range 3 {
		body, err := c.Get(ctx, path)
		if err != nil {
			return out, err
		}
		out.Playlists += len(body)
		text := string(body)
		if !strings.HasPrefix(text, "#EXTM3U") {
			return out, fmt.Errorf("%s is no playlist", path)
		}
		var uris []string
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				uris = append(uris, line)
			}
		}
		if len(uris) == 0 {
			return out, fmt.Errorf("the playlist %s is empty", path)
		}
		first, err := resolve(path, uris[0])
		if err != nil {
			return out, err
		}
		m := mapURI.FindStringSubmatch(text)
		if m == nil {
			path = first // of the first variant
			continue
		}
		header, err := resolve(path, m[1])
		if err != nil {
			return out, err
		}
		out.Segments = len(uris)
		if out.Init, err = c.Get(ctx, header); err != nil {
			return out, err
		}
		out.Segment, err = c.Get(ctx, first)
		return out, err
	}
	return out, fmt.Errorf("%s leads to no segments", path)
}

func resolve(base, ref string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u, err := b.Parse(ref)
	if err != nil {
		return "", err
	}
	return u.RequestURI(), nil
}
