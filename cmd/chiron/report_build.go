package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/chiron-faas/chiron/pipeline"
)

// buildReport is what was built, with --output json.
type buildReport struct {
	Workflow string `json:"workflow"`
	PlanID   string `json:"plan_id"`
	// Folders where no images were asked for.
	Folders []folderReport `json:"folders,omitempty"`
	Images  []imageReport  `json:"images,omitempty"`
	// WrittenTo is the file or folder, PushedTo the registry.
	WrittenTo string `json:"written_to,omitempty"`
	PushedTo  string `json:"pushed_to,omitempty"`
}

type folderReport struct {
	Wrap      string   `json:"wrap"`
	Folder    string   `json:"folder"`
	Digest    string   `json:"digest"`
	Functions []string `json:"functions"`
}

type imageReport struct {
	Wrap string `json:"wrap"`
	Name string `json:"name"`
	// Reference, by digest, of an image that was pushed.
	Reference string   `json:"reference,omitempty"`
	Digest    string   `json:"digest"`
	Functions []string `json:"functions"`
	Platforms []string `json:"platforms"`
	// Omitted are the base's platforms without an agent.
	Omitted    []string `json:"omitted_platforms,omitempty"`
	Base       string   `json:"base,omitempty"`
	BaseDigest string   `json:"base_digest"`
	Python     string   `json:"python"`
	SizeBytes  int64    `json:"size_bytes"`
}

func reportBuild(o *pipeline.BuildOptions, built *pipeline.Built) buildReport {
	r := buildReport{Workflow: o.Project.Name, PlanID: o.Plan.Digest(), WrittenTo: o.Tarball + o.Layout, PushedTo: o.Push}
	for _, b := range built.Bundles {
		r.Folders = append(r.Folders, folderReport{Wrap: b.Wrap, Folder: b.Dir, Digest: b.Digest, Functions: b.Functions})
	}
	for i := range built.Images {
		img := &built.Images[i]
		made := imageReport{
			Wrap: img.Wrap, Name: built.Names[i], Digest: img.Digest, Functions: img.Functions, Platforms: img.Platforms,
			Omitted: img.Omitted, Base: img.Base, BaseDigest: img.BaseDigest, Python: img.Python, SizeBytes: img.Size,
		}
		if built.References != nil {
			made.Reference = built.References[i]
		}
		r.Images = append(r.Images, made)
	}
	return r
}

func textBuild(r buildReport) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		if len(r.Folders) > 0 {
			for _, f := range r.Folders {
				printf(w, "%s  %s\n", s.bold(f.Wrap), s.accent(f.Folder))
			}
			return
		}
		columns := []column{{title: "wrap"}, {title: "image"}, {title: "digest"}, {title: "size", right: true}, {title: "functions", flex: true}}
		var rows [][]string
		for _, i := range r.Images {
			rows = append(rows, []string{i.Wrap, i.Name, short(i.Digest), bytesText(i.SizeBytes), strings.Join(i.Functions, " ")})
		}
		printTable(w, s, columns, rows)
		first := r.Images[0]
		on := first.Base
		if on == "" {
			on = short(first.BaseDigest)
		}
		printf(w, "for %s, on %s with Python %s\n", strings.Join(first.Platforms, ", "), on, first.Python)
		if len(first.Omitted) > 0 {
			printf(w, "%s\n", s.dim(wrapped("the base is also for "+listed(first.Omitted)+": add --agent with a chiron binary for each that you want", 0)))
		}
		if r.PushedTo != "" {
			for _, i := range r.Images {
				printf(w, "pushed %s\n", s.accent(i.Reference))
			}
		}
		if r.WrittenTo != "" {
			printf(w, "written to %s\n", s.accent(r.WrittenTo))
		}
	}
}

// short is a digest as people compare them.
func short(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return fmt.Sprintf("%.12s", hex)
}
