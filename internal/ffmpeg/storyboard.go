package ffmpeg

import (
	"fmt"
	"image"
	"image/draw"
	"strings"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// The shape of a storyboard.
const (
	tileSide   = 160 // pixels of the long side
	tilesMost  = 100
	tilesBreak = 10 // in one row
	tileStep   = 2 * time.Second
	// fullDecode is up to where every picture is decoded; beyond it key frames are near enough.
	fullDecode = 2 * time.Minute
)

// storyboard saves small pictures at even distances in one large picture, and the table of
// them.
func (j *job) storyboard() ([]File, error) {
	v := j.info.Video()
	if v == nil || j.info.Duration <= 0 {
		return nil, nil
	}
	step := max(tileStep, j.info.Duration/tilesMost)
	count := min(tilesMost, int((j.info.Duration+step-1)/step))
	w, h := within(v.DisplayWidth, v.DisplayHeight, tileSide)
	p := pick{
		keys: j.info.Duration > fullDecode, rate: fmt.Sprintf("1000/%d", step.Milliseconds()),
		most: count, width: w, height: h,
	}
	var tiles []*image.RGBA
	err := j.frames(p, func(m *image.RGBA) bool {
		tiles = append(tiles, m)
		j.report(float64(len(tiles)) / float64(count))
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(tiles) == 0 {
		return nil, media.Refuse(media.Broken, nil)
	}
	sheet := image.NewRGBA(image.Rect(0, 0, w*min(len(tiles), tilesBreak), h*((len(tiles)+tilesBreak-1)/tilesBreak)))
	table := strings.Builder{}
	table.WriteString("WEBVTT\n")
	for n, tile := range tiles {
		x, y := n%tilesBreak*w, n/tilesBreak*h
		draw.Draw(sheet, image.Rect(x, y, x+w, y+h), tile, image.Point{}, draw.Src)
		end := time.Duration(n+1) * step
		if n == len(tiles)-1 {
			end = max(end, j.info.Duration)
		}
		fmt.Fprintf(&table, "\n%s --> %s\n%s#xywh=%d,%d,%d,%d\n", cueTime(time.Duration(n)*step), cueTime(end), media.StoryboardFile, x, y, w, h)
	}
	content, err := encodeJPEG(sheet, 72, posterOctets)
	if err != nil {
		return nil, err
	}
	picture, err := j.save(media.StoryboardFile, "image/jpeg", sheet.Rect.Dx(), sheet.Rect.Dy(), content)
	if err != nil {
		return nil, err
	}
	vtt, err := j.save(media.StoryboardTableFile, "text/vtt", 0, 0, []byte(table.String()))
	if err != nil {
		return nil, err
	}
	return []File{picture, vtt}, nil
}

// cueTime writes a time as WebVTT does.
func cueTime(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
