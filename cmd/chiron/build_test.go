package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

func TestBuildReport(t *testing.T) {
	o := &pipeline.BuildOptions{Project: &workflow.Project{Name: "hello"}, Plan: &plan.Plan{Workflow: "hello"}, Push: "registry.example.org/team"}
	image := func(wrap, digit string, functions ...string) oci.Image {
		return oci.Image{
			Workflow: "hello", Wrap: wrap, Functions: functions, Digest: "sha256:" + strings.Repeat(digit, 64),
			Platforms: []string{"linux/amd64"}, Omitted: []string{"linux/arm64", "linux/riscv64"},
			Base: "docker.io/library/python:3.12-slim", BaseDigest: "sha256:" + strings.Repeat("c", 64), Python: "3.12.7", Size: 58_400_000,
		}
	}
	images := &pipeline.Built{
		Images:     []oci.Image{image("wrap-1", "a", "greet", "shout"), image("wrap-2", "b", "whisper")},
		Names:      []string{"registry.example.org/team/hello-wrap-1:latest", "registry.example.org/team/hello-wrap-2:latest"},
		References: []string{"registry.example.org/team/hello-wrap-1@sha256:" + strings.Repeat("a", 64), "registry.example.org/team/hello-wrap-2@sha256:" + strings.Repeat("b", 64)},
	}
	folders := &pipeline.Built{Bundles: []bundle.Bundle{{Wrap: "wrap-1", Dir: "/home/me/hello/.chiron/bundles/wrap-1", Functions: []string{"greet"}}}}
	for name, built := range map[string]*pipeline.Built{"build-images.txt": images, "build-folders.txt": folders} {
		var out bytes.Buffer
		textBuild(reportBuild(o, built))(&out, style{})
		golden(t, "report/"+name, out.String())
	}
}

// TestBuildOutput: --output is the report's form, a place for images, or both.
func TestBuildOutput(t *testing.T) {
	form := textOutput
	o := &buildOutput{form: &form}
	for _, s := range []string{"images.tar", "json"} {
		if err := o.Set(s); err != nil {
			t.Error(err)
		}
	}
	if form != jsonOutput || o.path != "images.tar" {
		t.Errorf("form %s, path %s", form, o.path)
	}
	if o.Set("other.tar") == nil || o.Set("") == nil {
		t.Error("two places are taken")
	}
}
