package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
	"github.com/chiron-faas/chiron/internal/programtest"
)

// TestCommand writes and pushes an image, and writes the same bytes a second time.
func TestCommand(t *testing.T) {
	agent := programtest.BuildAgent(t)
	host := ocitest.Registry(t, nil)
	var files [][]byte
	for range 2 {
		file := filepath.Join(t.TempDir(), "image.tar")
		var out, errs bytes.Buffer
		code := run(t.Context(), &out, &errs, []string{"-output", file, "-registry", host + "/team", "-tag", "v1", "-cache", t.TempDir(), agent})
		if code != 0 || !bytes.HasPrefix(out.Bytes(), []byte(host+"/team/chiron-agent:v1\n"+host+"/team/chiron-agent@sha256:")) {
			t.Fatalf("exit code %d: %s%s", code, &out, &errs)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, text)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same program gives other bytes the second time")
	}
}

func TestWrongUse(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{{nil, 2}, {[]string{"/bin/sh"}, 2}, {[]string{"-output", "x"}, 2}, {[]string{"-no-such"}, 2}, {[]string{"-h"}, 0}, {[]string{"-output", filepath.Join(t.TempDir(), "x"), "/no/such"}, 1}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), &out, &errs, c.args); code != c.code || errs.Len() == 0 {
			t.Errorf("%q: exit code %d, want %d: %s", c.args, code, c.code, &errs)
		}
	}
}
