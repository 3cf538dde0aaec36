package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/chiron-faas/chiron/internal/dnslabel"
	"github.com/chiron-faas/chiron/internal/strictjson"
)

// maxManifest bounds a wrap.json, bytes.
const maxManifest = 8 << 20

// manifestFunctionJSON is ManifestFunction with its timeout in the file.
type manifestFunctionJSON struct {
	plainManifestFunction
	Timeout duration `json:"timeout,omitzero"`
}

type plainManifestFunction ManifestFunction

// MarshalJSON implements json.Marshaler.
func (f ManifestFunction) MarshalJSON() ([]byte, error) {
	return marshal(manifestFunctionJSON{plainManifestFunction(f), duration(f.Timeout)})
}

// UnmarshalJSON implements json.Unmarshaler; it refuses keys that it does not
// know.
func (f *ManifestFunction) UnmarshalJSON(data []byte) error {
	var file manifestFunctionJSON
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return err
	}
	*f = ManifestFunction(file.plainManifestFunction)
	f.Timeout = time.Duration(file.Timeout)
	return nil
}

// Encode writes wrap.json: indented, the same bytes for the same manifest. It
// sets the manifest's APIVersion where that is empty.
func (m *Manifest) Encode(w io.Writer) error {
	out := *m
	if out.APIVersion == "" {
		out.APIVersion = APIVersion
	}
	if err := out.check(); err != nil {
		return fmt.Errorf("encode the manifest of wrap %q: %w", m.Wrap, err)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}

// DecodeManifest reads what Manifest.Encode writes, as strict as Decode.
func DecodeManifest(data []byte) (*Manifest, error) {
	m := new(Manifest)
	if err := strictjson.Decode(data, "a wrap's manifest", APIVersion, m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// ReadManifest reads a wrap.json; its errors name the file.
func ReadManifest(path string) (*Manifest, error) {
	data, err := strictjson.ReadFile(path, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m, err := DecodeManifest(data)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", path, err)
	}
	return m, nil
}

func (m *Manifest) check() error {
	if !dnslabel.Valid(m.Wrap) {
		return fmt.Errorf("the wrap's name %q is not a DNS label", m.Wrap)
	}
	if m.Concurrency < 0 {
		return fmt.Errorf("concurrency is %d: it cannot be negative (0 means the agent's default)", m.Concurrency)
	}
	names := map[string]bool{}
	for i, f := range m.Functions {
		switch {
		case f.Name == "":
			return fmt.Errorf("function %d has no name", i+1)
		case names[f.Name]:
			return fmt.Errorf("function %q is listed twice", f.Name)
		case f.File == "":
			return fmt.Errorf("function %q has no file", f.Name)
		case f.Timeout < 0 || f.Memory < 0:
			return fmt.Errorf("function %q: its timeout or memory limit is negative", f.Name)
		}
		names[f.Name] = true
	}
	return nil
}
