package main

import (
	"fmt"

	"github.com/videoactivmail/vam/internal/config"
)

type configCmd struct {
	Show      configShowCmd      `cmd:"" default:"1" help:"Print every value in force and where it came from (the default)." example:"vam config --json"`
	Check     configCheckCmd     `cmd:"" help:"Look for mistakes; silent when there are none." example:"vam --config new.toml config check"`
	Reference configReferenceCmd `cmd:"" help:"Explain every key." example:"vam config reference | less"`
}

func (configCmd) Help() string {
	return `The configuration is one TOML file, the environment and the flags; the stronger one
wins. Every value is printed with where it came from.

Examples:

    vam config                          what is in force, as TOML that can be used as a file
    vam config --json                   the same for programs
    vam --config new.toml config check  look at a file before it is used
    vam config reference | less         every key, its default and its limits`
}

type configShowCmd struct{}

// effective is what `vam config --json` prints; keys are stable.
type effective struct {
	File     string           `json:"file,omitempty"`
	Settings []config.Setting `json:"settings"`
}

func (configShowCmd) Run(e *env) error {
	c, err := e.loadConfig()
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(effective{File: c.File, Settings: c.Settings()})
	}
	return c.WriteTOML(e.out)
}

type configCheckCmd struct{}

// configChecked is what `vam config check --json` prints; keys are stable.
type configChecked struct {
	File string `json:"file"` // empty when the environment says everything
	OK   bool   `json:"ok"`   // true; a mistake is an error
}

func (configCheckCmd) Run(e *env) error {
	c, err := e.loadConfig()
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(configChecked{File: c.File, OK: true})
	}
	if c.File != "" {
		e.note("%s has no mistakes", safe(c.File))
	}
	return nil
}

type configReferenceCmd struct{}

// reference is one key of `vam config reference --json`; keys are stable.
type reference struct {
	Key     string `json:"key"`
	Table   bool   `json:"table,omitempty"` // it holds other keys
	Type    string `json:"type,omitempty"`
	Default string `json:"default,omitempty"` // as TOML
	Allowed string `json:"allowed,omitempty"`
	Env     string `json:"env,omitempty"` // variable that overrides it
	Doc     string `json:"doc"`
}

func (configReferenceCmd) Run(e *env) error {
	if !e.JSON {
		if err := config.WriteReference(e.out); err != nil {
			return fmt.Errorf("write the reference: %w", err)
		}
		return nil
	}
	var list []reference
	for _, k := range config.Keys() {
		list = append(list, reference{Key: k.Path, Table: k.Table, Type: k.Type, Default: k.Default, Allowed: k.Allowed, Env: k.Env, Doc: k.Doc})
	}
	return e.printJSON(list)
}
