// Package lines writes the experiments' reports.
package lines

import (
	"fmt"
	"io"
)

// Printer writes until a write fails.
type Printer struct {
	Out io.Writer
	// Err is the first failure.
	Err error
}

// Printf writes as fmt.Fprintf does, unless a write has failed.
func (p *Printer) Printf(format string, args ...any) {
	if p.Err == nil {
		_, p.Err = fmt.Fprintf(p.Out, format, args...)
	}
}
