package sandbox

// Layers says which layers the Box uses.
func (b *Box) Layers() []Layer { return b.layers }
