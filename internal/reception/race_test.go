//go:build race

package reception_test

// raceEnabled thins tests out that do the same thousands of times.
const raceEnabled = true
