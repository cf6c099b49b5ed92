// Package harness runs whole VAM servers for tests: each with its own data folder,
// address, certificate and DNS records, as a process of its own or inside of the test,
// with faulty links in front where a test wants them.
//
// Everything belongs to the test that asked for it and ends with it.
package harness
