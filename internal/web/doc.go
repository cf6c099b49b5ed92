// Package web is the front door for people without an account: the page behind a watch
// link, the media that it plays, and the download of the original.
//
// A link is a capability: whoever has it may watch. It stands in the path, so that there
// is no cookie and nothing to log in to; it is never logged (see RedactPath), and no page
// sends it on as a referrer. GET and HEAD change nothing, whoever sends them: a view is
// counted when a player says by POST that it plays and media was really served to that
// link.
package web
