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
		// An empty map or list passes, as in Helm.
		"required": func(message string, value any) (any, error) {
			if value == nil || value == "" {
				return nil, errors.New(message)
			}
			return value, nil
		},
		"fail": func(message string) (string, error) { return "", errors.New(message) },
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
		"toJson":     asJson,
		"upper":      strings.ToUpper,
		"replace":    func(old, new, text string) string { return strings.ReplaceAll(text, old, new) },
		"dict":       dict,
		"dig": func(key string, other any, from map[string]any) any {
			if value, found := from[key]; found {
				return value
			}
			return other
		},
		"add": func(numbers ...any) (int64, error) {
			return combined(numbers, 0, func(sum, number int64) int64 { return sum + number })
		},
		"mul": func(numbers ...any) (int64, error) {
			return combined(numbers, 1, func(product, number int64) int64 { return product * number })
		},
	}
}

func combined(numbers []any, start int64, operation func(int64, int64) int64) (int64, error) {
	for _, number := range numbers {
		switch number := number.(type) {
		case float64:
			start = operation(start, int64(number))
		case int:
			start = operation(start, int64(number))
		default:
			return 0, fmt.Errorf("%v is no number", number)
		}
	}
	return start, nil
}

func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict takes pairs")
	}
	made := map[string]any{}
	for index := 0; index < len(pairs); index += 2 {
		made[pairs[index].(string)] = pairs[index+1]
	}
	return made, nil
}

// An empty map or list is empty too, as it is to Helm.
func empty(value any) bool {
	if value == nil {
		return true
	}
	found := reflect.ValueOf(value)
	if kind := found.Kind(); kind == reflect.Map || kind == reflect.Slice {
		return found.Len() == 0
	}
	return found.IsZero()
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
		return asJson(value) + "\n"
	}
}

func asJson(value any) string {
	encoded, err := json.Marshal(value)
	check(err)
	return string(encoded)
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
