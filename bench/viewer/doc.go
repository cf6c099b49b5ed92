// Package viewer is the people who watch: a client that opens a watch page as a browser
// would and counts what it takes until something plays, a browser that says when its
// first picture was there, and crowds that read slowly.
//
// All of it is an instrument: it changes nothing at the server, and ends what it starts.
package viewer
