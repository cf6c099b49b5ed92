// Package amtest holds fixtures for implementers of VAM/1: the runner of the
// conformance vectors in spec/vectors, which drives this Go code or, over a line
// protocol, an implementation in any language.
package amtest
