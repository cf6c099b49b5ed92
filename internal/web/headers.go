package web

import "net/http"

// pagePolicy is the Content-Security-Policy of a page: nothing from elsewhere, no script
// or style within the page, no frame around it.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// mediaPolicy is that of octets that a stranger chose: opened as a page they can do
// nothing.
const mediaPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"

// secure sets what every answer has. Answers of a page loosen the policy.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", mediaPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow, noarchive")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=(), "+
		"fullscreen=(self), picture-in-picture=(self), autoplay=(self)")
	h.Set("Cache-Control", "no-store")
}

// pageHeaders are those of an HTML answer.
func pageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Vary", "Accept-Language")
}

// mediaHeaders are those of media and of what was made of it. A browser may keep it, and
// asks each time whether the link still opens it.
func mediaHeaders(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "private, no-cache")
}
