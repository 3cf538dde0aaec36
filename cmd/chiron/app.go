package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/term"

	"github.com/chiron-faas/chiron/internal/agentfile"
)

// app is what every verb works with: where it reads and writes, and the flags
// that all of them know.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	// agent finds the program that runs the wraps: findAgent, but in tests.
	agent func(*app) (string, error)

	output  outputFormat
	verbose bool
	// running says that flags and arguments were in order: what fails from then
	// on is the work, not the use.
	running bool
}

// outputFormat is the value of --output.
type outputFormat string

const (
	textOutput outputFormat = "text"
	jsonOutput outputFormat = "json"
)

// String implements pflag.Value.
func (f *outputFormat) String() string { return string(*f) }

// Type implements pflag.Value: what the help text calls the value.
func (f *outputFormat) Type() string { return "text|json" }

// Set implements pflag.Value.
func (f *outputFormat) Set(s string) error {
	switch outputFormat(s) {
	case textOutput, jsonOutput:
		*f = outputFormat(s)
		return nil
	}
	return fmt.Errorf("it is text or json, not %q", s)
}

// report prints a report: as JSON, or by text, which is given how to colour.
func (a *app) report(v any, text func(w io.Writer, s style)) error {
	if a.output == jsonOutput {
		if own, ok := v.(interface{ Encode(io.Writer) error }); ok { // a file's own form
			if err := own.Encode(a.out); err != nil {
				return fmt.Errorf("write the report: %w", err)
			}
			return nil
		}
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		return nil
	}
	w := &sink{w: a.out}
	text(w, a.style(a.out))
	if w.err != nil {
		return fmt.Errorf("write the report: %w", w.err)
	}
	return nil
}

// sink keeps the first error of writing, so that a text is written without a
// check at every line.
type sink struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	if s.err == nil {
		_, s.err = s.w.Write(p)
	}
	return len(p), s.err
}

// printf writes to a sink, which keeps its error.
func printf(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// self is the path of this program.
func (a *app) self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's own file: %w", err)
	}
	return path, nil
}

// findAgent is the path of the program that runs the wraps, which is of this
// program's version.
func findAgent(a *app) (string, error) {
	self, err := a.self()
	if err != nil {
		return "", err
	}
	file, err := agentfile.Find(self, a.env(agentfile.Variable))
	if err != nil {
		return "", err
	}
	return file, checkAgent(file)
}

// checkAgent refuses what is no agent of this program's version.
func checkAgent(file string) error {
	own, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this chiron does not say which version it is, so that no agent is sure to fit: build it with the go command")
	}
	return agentfile.Check(file, own)
}

// isTerminal says whether w is shown to somebody as it is written.
func (a *app) isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && a.env("TERM") != "dumb"
}

// style colours text, or leaves it alone.
type style struct{ on bool }

func (a *app) style(w io.Writer) style {
	return style{on: a.isTerminal(w) && a.env("NO_COLOR") == ""}
}

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string   { return s.paint("1", text) }
func (s style) dim(text string) string    { return s.paint("2", text) }
func (s style) good(text string) string   { return s.paint("32", text) }
func (s style) bad(text string) string    { return s.paint("31", text) }
func (s style) accent(text string) string { return s.paint("36", text) }
