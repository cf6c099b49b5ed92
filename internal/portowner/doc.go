// Package portowner tells which processes hold a TCP or UDP port of this machine:
// what `lsof -i :1398` would show, without lsof.
//
// On Linux it reads procfs itself. Elsewhere it says that it cannot tell and which
// command can: a library for every system would be the largest dependency of the
// server for one line of a report.
package portowner
