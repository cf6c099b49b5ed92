//go:build !fault

package fault

// Enabled reports whether the points of this build do anything.
const Enabled = false

// Point does nothing in this build.
func Point(string) error { return nil }
