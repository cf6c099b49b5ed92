// Package peer runs what users would run instead of vam, and the bare transports
// that vam is built on, and measures them: the other columns of every table.
//
// A peer is given the best case that its users could arrange, and its doc comment
// says what it does not do that vam does. Everything that a peer starts ends with
// the call that started it: processes by their id, files with their folder.
package peer
