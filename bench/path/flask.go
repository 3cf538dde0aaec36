package path

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bench/serving"
)

// flaskProgram serves the handler as OpenFaaS' Python templates do: Flask under
// waitress with its default of four threads. It prints the port.
const flaskProgram = `import json, socket, sys
from flask import Flask, request
import waitress
from handler import handler

app = Flask(__name__)


@app.route("/", methods=["POST"])
def main():
    return json.dumps(handler(json.loads(request.get_data()), None)), 200, {"Content-Type": "application/json"}


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(1024)
print(listener.getsockname()[1], flush=True)
waitress.serve(app, sockets=[listener], _quiet=True)
`

// python is Debian's, whose packages are compared.
const python = "/usr/bin/python3"

// missingError says that there is no Flask to compare with.
type missingError struct{ detail string }

func (e *missingError) Error() string {
	return "Flask is not measured (" + e.detail + "): apt-get install python3-flask python3-waitress"
}

type flask struct {
	command *exec.Cmd
	target  load.Target
}

func startFlask(ctx context.Context, dir string) (*flask, error) {
	if out, err := exec.CommandContext(ctx, python, "-c", "import flask, waitress").CombinedOutput(); err != nil {
		return nil, &missingError{serving.LastLine(string(out))}
	}
	folder := filepath.Join(dir, "flask")
	err := errors.Join(
		os.Mkdir(folder, 0o755),
		os.WriteFile(filepath.Join(folder, "handler.py"), []byte(handler), 0o644),
		os.WriteFile(filepath.Join(folder, "main.py"), []byte(flaskProgram), 0o644),
	)
	if err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	f := &flask{command: exec.Command(python, "main.py")}
	f.command.Dir = folder
	f.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := f.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	if err := f.command.Start(); err != nil {
		return nil, fmt.Errorf("bench path: %w", err)
	}
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bench path: Flask did not start: %w", err), f.stop())
	}
	f.target = load.Target{Network: "tcp", Address: "127.0.0.1:" + strings.TrimSpace(port), Path: "/", Body: body}
	return f, nil
}

func (f *flask) stop() error { return serving.Stop(f.command) }
