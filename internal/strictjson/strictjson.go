// Package strictjson reads the program's own JSON files (plans, manifests,
// calibrations): one versioned object, no key that is not known, nothing behind
// it. Its errors say what is wrong and where, in one line.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Decode decodes the object in data into v. The object's apiVersion must be
// version: it is looked at first, since another version's keys are no news.
// kind names the file in errors: "a plan".
func Decode(data []byte, kind, version string, v any) error {
	var head struct {
		APIVersion *string `json:"apiVersion"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return describe(err, data, kind)
	}
	switch {
	case head.APIVersion == nil:
		return fmt.Errorf("it has no apiVersion: it is not %s", kind)
	case *head.APIVersion != version:
		return fmt.Errorf("its apiVersion is %q, but this program reads %q: make it again", *head.APIVersion, version)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return describe(err, data, kind)
	}
	return nil
}

// ReadFile reads a file of at most limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is over the limit of %d bytes", path, limit)
	}
	return data, nil
}

func describe(err error, data []byte, kind string) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return fmt.Errorf("it is empty: it is not %s", kind)
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(data)):
		return fmt.Errorf("it is truncated after %d bytes: make it again", len(data))
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: it is not JSON: %w", place(data, syntax.Offset), err)
	case errors.As(err, &wrong) && wrong.Field == "":
		return fmt.Errorf("%s: it must not be a JSON %s", place(data, wrong.Offset), wrong.Value)
	case errors.As(err, &wrong):
		return fmt.Errorf("%s: %s must not be a JSON %s", place(data, wrong.Offset), wrong.Field, wrong.Value)
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("it has a field %s that this program does not know: correct or remove it", field)
	}
	return err
}

func place(data []byte, offset int64) string {
	before := data[:min(offset, int64(len(data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n') - 1
	return fmt.Sprintf("line %d, column %d", line, max(column, 1))
}
