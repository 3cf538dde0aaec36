package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// normalise takes out of a folder that pip installed into what it left of this
// machine and this run: bytecode, the interpreter's path in scripts, where a
// package came from, and the order of its lists.
func normalise(site string) error {
	if err := os.MkdirAll(site, 0o755); err != nil { // pip makes none for nothing
		return err
	}
	var records []string
	err := filepath.WalkDir(site, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && isSkipped(d.Name()):
			if err := removeAll(name); err != nil {
				return err
			}
			return filepath.SkipDir
		case d.IsDir():
			return nil
		case isSkipped(d.Name()):
			return os.Remove(name)
		case strings.HasSuffix(filepath.Dir(name), ".dist-info"):
			switch d.Name() {
			case "direct_url.json": // where it was installed from: a path of this machine
				return os.Remove(name)
			case "RECORD":
				records = append(records, name)
			}
			return nil
		case filepath.Base(filepath.Dir(name)) == "bin" && d.Type().IsRegular():
			return plainShebang(name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range records { // last: they hold the others' digests
		if err := rewriteRecord(site, r); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	return nil
}

// Scripts begin with the interpreter's path, or, where that is long, with a
// shell's detour to it (distlib, scripts.py).
var (
	shebang       = regexp.MustCompile(`\A#!"?/[^\n]*python[^\n]*\n`)
	shellShebang  = regexp.MustCompile(`\A#!/bin/sh\n'''exec' [^\n]*python[^\n]*\n' '''\n`)
	plainFirstRow = []byte("#!/usr/bin/env python3\n")
)

func plainShebang(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	found := shellShebang.Find(data)
	if found == nil {
		found = shebang.Find(data)
	}
	if found == nil || bytes.Equal(found, plainFirstRow) {
		return nil
	}
	return os.WriteFile(name, append(slices.Clone(plainFirstRow), data[len(found):]...), 0o755)
}

// rewriteRecord makes a RECORD (PEP 376: path, sha256=digest, size) true again:
// sorted, without files that are gone, with digests of those that changed.
func rewriteRecord(site, record string) error {
	data, err := os.ReadFile(record)
	if err != nil {
		return err
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = 3
	rows, err := r.ReadAll()
	if err != nil {
		return err
	}
	var kept [][]string
	for _, row := range rows {
		if row, err = trueRow(site, row); err != nil {
			return err
		}
		if row != nil {
			kept = append(kept, row)
		}
	}
	slices.SortFunc(kept, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if err := w.WriteAll(kept); err != nil {
		return err
	}
	return os.WriteFile(record, out.Bytes(), 0o644)
}

// trueRow returns a row of RECORD as the files are now; nil where its file is
// gone or lies outside the folder.
func trueRow(site string, row []string) ([]string, error) {
	name := path.Clean(filepath.ToSlash(row[0]))
	// pip installs below lib/python of a temporary folder and moves the scripts
	// up to the target's bin.
	name = strings.TrimPrefix(name, "../../")
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(site, filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if row[1] == "" { // RECORD itself
		return []string{name, "", ""}, nil
	}
	sum := sha256.Sum256(data)
	return []string{name, "sha256=" + base64.RawURLEncoding.EncodeToString(sum[:]), strconv.Itoa(len(data))}, nil
}
