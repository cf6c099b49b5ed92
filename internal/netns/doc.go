// Package netns makes network namespaces for tests and benchmarks.
//
// A namespace here has no name: it is held by a file descriptor and by the
// processes that run in it, so that the kernel removes it, its devices and its
// addresses with the last of them, even after a kill -9. Nothing appears under
// /run/netns and nothing outside the namespace changes.
//
// Linux only; making a namespace needs CAP_SYS_ADMIN. [Available] says in words
// what is missing, so that a test can skip with the reason.
package netns
