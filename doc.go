// Package vam is the vocabulary of Video Active Mail: addresses, message
// identifiers, kinds, states, sizes and the closed set of error kinds that every
// other package speaks. It does no I/O and needs the standard library only.
package vam
