package systems

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
)

// WriteFiles writes the report in all its forms into a folder: report.txt,
// report.json, systems.csv, report.html, which needs nothing else, and a picture
// for each figure.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("systems: %w", err)
	}
	for name, write := range map[string]func(io.Writer) error{
		"report.txt":  r.WriteText,
		"report.json": r.writeJSON,
		"systems.csv": r.WriteCSV,
		"report.html": r.WriteHTML,
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("systems: %w", err)
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return fmt.Errorf("systems: write %s: %w", f.Name(), err)
		}
	}
	for _, f := range r.Figures() {
		data, err := f.SVG()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f.File+".svg"), data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("systems: %w", err)
		}
	}
	return nil
}

func (r *Report) writeJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// page is report.html. Its pictures are in it.
const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Systems side by side</title>
<meta name="viewport" content="width=device-width">
<style>
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,"Segoe UI",sans-serif;max-width:1040px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:1em 0}
td,th{padding:.15em .7em;text-align:right;border-bottom:1px solid #8884}
td:first-child,th:first-child{text-align:left}
.met{color:#228833}.missed{color:#c33}.dim{opacity:.7}
figure{margin:2em 0;overflow-x:auto}
pre{overflow-x:auto}
</style></head><body>
<h1>Systems side by side</h1>
<p>{{.Report.Machine.CPUModel}}, {{.Report.Machine.CPUs}} CPUs, Linux {{.Report.Machine.Kernel}}; {{.Report.Begin.Format "2006-01-02 15:04"}} UTC.
Medians of {{.Report.Rounds}} rounds in which all systems took turns; ratios are of one run.</p>
<h2>Targets</h2>
<table><tr><th>workflow</th><th>target</th><th>limit</th><th>have</th><th></th></tr>
{{range .Targets}}<tr><td>{{.Workflow}}</td><td>{{.What}}</td><td>{{.Sign}} {{printf "%.2f" .Limit}}{{.Unit}}</td><td>{{printf "%.2f" .Have}}{{.Unit}}</td><td class="{{.Verdict}}">{{.Verdict}}</td></tr>
{{if .Because}}<tr><td></td><td colspan="4" class="dim">{{.Because}}</td></tr>{{end}}{{end}}</table>
<h2>Figures</h2>
{{range .Figures}}<figure>{{.Picture}}<figcaption class="dim">{{.Title}}{{if .Paper}} (the paper's figure {{.Paper}}){{end}}</figcaption></figure>
{{end}}<h2>All figures in numbers</h2>
<pre>{{.Text}}</pre>
</body></html>
`

// WriteHTML writes the report as one page that needs nothing else.
func (r *Report) WriteHTML(out io.Writer) error {
	type target struct {
		Target
		Sign, Verdict, Because string
	}
	type picture struct {
		Title, Paper string
		Picture      template.HTML
	}
	data := struct {
		Report  *Report
		Targets []target
		Figures []picture
		Text    string
	}{Report: r}
	for _, t := range r.Targets {
		row := target{Target: t, Sign: "≤", Verdict: "missed", Because: t.Why}
		if t.AtLeast {
			row.Sign = "≥"
		}
		if t.Met() {
			row.Verdict, row.Because = "met", ""
		}
		data.Targets = append(data.Targets, row)
	}
	for _, f := range r.Figures() {
		text, err := f.SVG()
		if err != nil {
			return err
		}
		// Written by internal/svg, which escapes what it is given.
		data.Figures = append(data.Figures, picture{Title: f.Title, Paper: f.Paper, Picture: template.HTML(text)})
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		return err
	}
	data.Text = text.String()
	parsed, err := template.New("page").Parse(page)
	if err != nil {
		return err
	}
	return parsed.Execute(out, data)
}
