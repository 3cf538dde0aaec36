package bundle

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/host/python"
)

func findInterpreter(ctx context.Context, lang, runtime string) (string, error) {
	i, err := host.FindInterpreter(ctx, lang, runtime)
	return i.Path, err
}

// hostProgram is the program that runs functions of a language, as it is
// embedded in this binary.
func hostProgram(lang string) (fs.FS, error) {
	if lang != "python" {
		return nil, fmt.Errorf("no host for lang %q: use python", lang)
	}
	return python.Files(), nil
}
