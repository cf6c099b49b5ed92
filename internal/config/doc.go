// Package config is the one configuration file of a vam server: its keys, their
// defaults and limits, where each value came from, and the reference that is
// generated from them.
//
// A key is a field of Config with tags; nothing else has to be told about it.
// The tags are:
//
//	toml     the key's name in its table
//	doc      sentences for the reference
//	min max  the smallest and largest value, in the key's own notation
//	oneof    the allowed words, separated by commas
//	example  a value for the reference where the default says too little
//
// Only cmd/vam and internal/daemon import this package. Every other component
// takes plain values or an options struct of its own, so that it can be used and
// tested without a file.
package config
