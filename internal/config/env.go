package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
)

// programVariables are those of the program that are no settings of the server: where
// its files are, and which account a person uses.
func programVariables() []string {
	return []string{
		EnvPrefix + "CONFIG", EnvPrefix + "PROFILE", EnvPrefix + "SERVER", EnvPrefix + "TOKEN", EnvPrefix + "CA_FILE",
	}
}

// environment overrides keys of c by VAM_* variables. A name that is almost a
// key's is a mistake; other VAM_* names belong to other programs and are left
// alone.
func (r *reader) environment(c *Config, environ []string) {
	byEnv := map[string]reflect.Value{}
	paths := map[string]string{}
	var names []string
	walk(reflect.ValueOf(c).Elem(), "", func(k Key, v reflect.Value) {
		if k.Env != "" {
			byEnv[k.Env], paths[k.Env] = v, k.Path
			names = append(names, k.Env)
		}
	})
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, EnvPrefix) {
			continue
		}
		where := "environment variable " + name
		v, ok := byEnv[name]
		if !ok {
			if slices.Contains(programVariables(), name) {
				continue
			}
			if hint := suggest(name, append(names, programVariables()...)); hint != "" {
				r.bad.add(where, "", "there is no such setting; did you mean %s?", hint)
			}
			continue
		}
		if err := assign(v, envValue(v, text)); err != nil {
			r.bad.add(where, paths[name], "%s", vam.Public(err))
			continue
		}
		r.sources[paths[name]] = where
	}
}

// envValue turns text into what the TOML decoder would have given for a field of
// v's type: lists are separated by commas.
func envValue(v reflect.Value, text string) any {
	switch v.Kind() {
	case reflect.Slice:
		items := []any{}
		for _, item := range strings.Split(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items
	case reflect.Bool:
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case reflect.Int:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	}
	return text
}
