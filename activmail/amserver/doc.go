// Package amserver answers VAM/1: one [http.Handler] over the [Inbound] and
// [Outbound] backends of its user, and a [Server] that serves it as HTTP/2 on TCP and
// as HTTP/3 on UDP.
//
// The handler does everything that the protocol says of a request: paths and ids, body
// limits, request signatures, ranges, waiting, problem answers. A backend sees typed
// arguments of which the form is checked, and returns typed results or a *[vam.Error].
// Neither half knows the other's storage, configuration, metrics or logger.
package amserver
