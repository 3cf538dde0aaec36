package profile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// maxFile bounds what Read takes, bytes: far over a workflow of thousands of
// functions.
const maxFile = 64 << 20

// Read reads and checks a profile.json. Its error names the file, what is
// wrong and where.
func Read(path string) (*Profile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("read profile %s: %d bytes are over the limit of %d", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	p, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", path, err)
	}
	return p, nil
}

// Write writes a profile.json whole or not at all: to a new file beside it that
// then takes its name.
func Write(path string, p *Profile) (err error) {
	var text bytes.Buffer
	if err := p.Encode(&text); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write profile %s: %w", path, errors.Join(err, os.Remove(file.Name())))
		}
	}()
	_, err = file.Write(text.Bytes())
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
