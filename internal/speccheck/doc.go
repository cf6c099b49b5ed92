// Package speccheck compares the specification in spec/ with the code that cites it:
// every requirement id is defined once, whatever is cited exists, and it is known which
// requirements no code and no test names. It also holds the specification to its own
// form: grammar rules that are all defined, links that lead somewhere, problem types
// that are described.
//
// It reads files through [fs.FS] and changes nothing.
package speccheck
