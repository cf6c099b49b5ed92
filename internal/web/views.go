package web

import "github.com/videoactivmail/vam"

type views struct{}

func newViews() *views { return &views{} }

func (v *visit) playView() error                  { return vam.Errorf(vam.NotFound, "not yet") }
func (v *visit) hlsIndex() error                  { return vam.Errorf(vam.NotFound, "not yet") }
func (v *visit) hlsFile(track, file string) error { return vam.Errorf(vam.NotFound, "not yet") }

func hlsName(rest string) (track, file string, ok bool) { return "", "", false }
