package isobmff

import "fmt"

// mpeg4 reads esds (ISO/IEC 14496-14 section 6.7): the object type says which codec it is.
func (e *Entry) mpeg4(c *Coding) {
	object, config := descriptor(e.content("esds", true))
	sound := e.Format == CC("mp4a")
	switch {
	case object == 0x20:
		c.Codec, c.RFC6381 = "mpeg4", "mp4v.20"
	case object >= 0x60 && object <= 0x65:
		c.Codec = "mpeg2video"
	case object == 0x6a:
		c.Codec = "mpeg1video"
	case object == 0x6c:
		c.Codec = "mjpeg"
	case object == 0x69, object == 0x6b:
		c.Codec, c.RFC6381 = "mp3", fmt.Sprintf("mp4a.%02x", object)
	case object == 0xa5:
		c.Codec, c.RFC6381 = "ac3", "ac-3"
	case object == 0xa6:
		c.Codec, c.RFC6381 = "eac3", "ec-3"
	case object == 0xa9:
		c.Codec = "dts"
	case object == 0xad:
		c.Codec, c.RFC6381 = "opus", "opus"
	case object == 0xdd:
		c.Codec = "vorbis"
	case object == 0x40, object >= 0x66 && object <= 0x68:
		e.aac(c, object, config)
	case object == 0 && !sound:
		c.Codec = "mpeg4"
	}
}

// aac reads an AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1).
func (e *Entry) aac(c *Coding, object byte, config []byte) {
	c.Codec = "aac"
	if object != 0x40 {
		c.RFC6381, c.Profile = fmt.Sprintf("mp4a.%02x", object), "LC"
		return
	}
	b := &bitReader{raw: config}
	kind := audioObject(b)
	rate := audioRate(b)
	channels := int(b.bits(4))
	extended := 0
	if kind == 5 || kind == 29 {
		extended = audioRate(b)
	}
	if b.short || kind == 0 {
		return
	}
	c.RFC6381 = fmt.Sprintf("mp4a.40.%d", kind)
	switch kind {
	case 1:
		c.Profile = "Main"
	case 2:
		c.Profile = "LC"
	case 3:
		c.Profile = "SSR"
	case 4:
		c.Profile = "LTP"
	case 5:
		c.Profile = "HE-AAC"
	case 29:
		c.Profile, channels = "HE-AACv2", 2
	case 23:
		c.Profile = "LD"
	case 39:
		c.Profile = "ELD"
	case 42:
		c.Profile = "xHE-AAC"
	case 36:
		c.Codec = "mp4als"
	case 32, 33, 34:
		c.Codec = "mp3"
	}
	if r := max(rate, extended); r > 0 {
		c.SampleRate = r
	}
	if channels == 7 {
		channels = 8
	}
	if channels > 0 && channels <= 8 {
		c.Channels = channels
	}
}

func audioObject(b *bitReader) int {
	v := int(b.bits(5))
	if v == 31 {
		v = 32 + int(b.bits(6))
	}
	return v
}

func audioRate(b *bitReader) int {
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	i := int(b.bits(4))
	if i == 15 {
		return int(b.bits(24))
	}
	if i < len(rates) {
		return rates[i]
	}
	return 0
}

// descriptor goes from an ES_Descriptor to the object type and the decoder's own
// configuration (ISO/IEC 14496-1 section 7.2.6). What is damaged gives zeros.
func descriptor(raw []byte) (object byte, config []byte) {
	tag, body := descriptorHead(raw)
	if tag != 3 || len(body) < 3 {
		return 0, nil
	}
	flags := body[2]
	skip := 3
	if flags&0x80 != 0 {
		skip += 2
	}
	if flags&0x40 != 0 && skip < len(body) {
		skip += 1 + int(body[skip])
	}
	if flags&0x20 != 0 {
		skip += 2
	}
	if skip > len(body) {
		return 0, nil
	}
	tag, body = descriptorHead(body[skip:])
	if tag != 4 || len(body) < 13 {
		return 0, nil
	}
	object = body[0]
	tag, inner := descriptorHead(body[13:])
	if tag == 5 {
		config = inner
	}
	return object, config
}

func descriptorHead(raw []byte) (tag byte, body []byte) {
	if len(raw) < 2 {
		return 0, nil
	}
	tag = raw[0]
	n, i := 0, 1
	for ; i < len(raw) && i <= 4; i++ {
		n = n<<7 | int(raw[i]&0x7f)
		if raw[i]&0x80 == 0 {
			i++
			break
		}
	}
	if i > len(raw) {
		return 0, nil
	}
	// The last length is often that of what once followed.
	n = min(n, len(raw)-i)
	return tag, raw[i : i+n]
}
