package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts start this program as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"amvectors": main})
}

// TestVectorScripts puts the vectors to processes: the runner of second implementations,
// with the one of this module at the other end of the pipe.
func TestVectorScripts(t *testing.T) {
	vectors, err := filepath.Abs("../../../spec/vectors")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("VECTORS", vectors)
			return nil
		},
	})
}
