// Renders a chart as `helm template` does, with Go's own template engine and the few functions that the chart uses.
// Helm itself comes from no package registry. A value that does not exist is an error here, not an empty text.
//
// Standard input: {"templates": {name: text}, "values": {...}, "release": {...}, "chart": {...}} as JSON.
// Standard output: {name: text}.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"text/template"
)

type input struct {
	Templates map[string]string
	Values    map[string]any
	Release   map[string]any
	Chart     map[string]any
}

func main() {
	var in input
	check(json.NewDecoder(os.Stdin).Decode(&in))
	root := template.New("chart").Option("missingkey=error")
	root.Funcs(functions(root))
	names := make([]string, 0, len(in.Templates))
	for name, text := range in.Templates {
		_, err := root.New(name).Parse(text)
		check(err)
		names = append(names, name)
	}
	sort.Strings(names)
	context := map[string]any{"Values": in.Values, "Release": in.Release, "Chart": in.Chart}
	rendered := map[string]string{}
	for _, name := range names {
		var text strings.Builder
		check(root.ExecuteTemplate(&text, name, context))
		rendered[name] = text.String()
	}
	check(json.NewEncoder(os.Stdout).Encode(rendered))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func functions(root *template.Template) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, context any) (string, error) {
			var text strings.Builder
			err := root.ExecuteTemplate(&text, name, context)
			return text.String(), err
		},
		"required": func(message string, value any) (any, error) {
			if empty(value) {
				return nil, errors.New(message)
			}
			return value, nil
		},
		"default": func(other, value any) any {
			if empty(value) {
				return other
			}
			return value
		},
		"quote":      func(value any) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
		"nindent":    func(spaces int, text string) string { return "\n" + indent(spaces, text) },
		"trunc":      func(length int, text string) string { return text[:min(length, len(text))] },
		"trimSuffix": func(suffix, text string) string { return strings.TrimSuffix(text, suffix) },
		"sha256sum":  func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
		"toYaml":     func(value any) string { return strings.TrimSuffix(yaml(value), "\n") },
		"add": func(numbers ...any) (int64, error) {
			var sum int64
			for _, number := range numbers {
				switch number := number.(type) {
				case float64:
					sum += int64(number)
				case int:
					sum += int64(number)
				default:
					return 0, fmt.Errorf("%v is no number", number)
				}
			}
			return sum, nil
		},
	}
}

func empty(value any) bool {
	return value == nil || reflect.ValueOf(value).IsZero()
}

func indent(spaces int, text string) string {
	prefix := strings.Repeat(" ", spaces)
	return prefix + strings.ReplaceAll(text, "\n", "\n"+prefix)
}

// Block style with sorted keys, as sigs.k8s.io/yaml writes it; scalars are JSON, which YAML includes.
func yaml(value any) string {
	switch value := value.(type) {
	case map[string]any:
		if len(value) == 0 {
			return "{}\n"
		}
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		var text strings.Builder
		for _, key := range keys {
			text.WriteString(key + ":" + below(value[key]))
		}
		return text.String()
	case []any:
		if len(value) == 0 {
			return "[]\n"
		}
		var text strings.Builder
		for _, item := range value {
			text.WriteString("- " + strings.TrimPrefix(indent(2, strings.TrimSuffix(yaml(item), "\n")), "  ") + "\n")
		}
		return text.String()
	default:
		encoded, err := json.Marshal(value)
		check(err)
		return string(encoded) + "\n"
	}
}

func below(value any) string {
	text := yaml(value)
	switch value := value.(type) {
	case map[string]any:
		if len(value) > 0 {
			return "\n" + indent(2, strings.TrimSuffix(text, "\n")) + "\n"
		}
	case []any:
		if len(value) > 0 {
			return "\n" + text
		}
	}
	return " " + text
}
