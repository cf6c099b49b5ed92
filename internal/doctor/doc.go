// Package doctor looks for what is wrong: with this machine, with what listens on
// its ports, with a domain as others see it, and with another server. Each finding
// says what was expected, what was found and how to mend it.
//
// The checks are functions of an Env, which holds the world as interfaces and
// plain facts, so that every finding is tested without breaking a machine.
package doctor
