// Package certs owns the certificates that this server shows: files that are taken up
// again when they change, chosen by server name, with a report on their state; beside
// it the local authority of `vam try` and of tests.
package certs
