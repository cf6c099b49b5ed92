//go:build !race

package reception_test

const raceEnabled = false
