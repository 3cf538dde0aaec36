package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// giver makes a value, notes when it has it, and gives it away: as its result,
// to an address by HTTP, or to a function in its own process.
const giver = `import http.client
import time

made = {}
given = 0


def value(size):
    if size not in made:
        made.clear()
        made[size] = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    return made[size]


def send(address, path, method, body):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request(method, path, body)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status >= 300:
        raise RuntimeError(f"{path}: {response.status} {answer[:200]!r}")
    return answer


def receive(body):
    return time.monotonic_ns(), len(body)


def handle(req):
    global given
    way, size, address = req.split()
    if way == "when":
        return str(given)
    body = value(int(size))
    given = time.monotonic_ns()
    if way == "result":
        return body
    if way == "call":
        then, _ = receive(body)
        return str(then)
    if way == "put":
        send(address, "/bench/value", "PUT", body)
        return ""
    return send(address, "/", "POST", body).decode()
`

// taker says when it has its input, and how long that is.
const taker = `import time


def handle(event, context):
    return f"{time.monotonic_ns()} {len(event.body)}"
`

// fetcher is a taker whose input is in a store.
const fetcher = `import http.client
import time


def handle(req):
    connection = http.client.HTTPConnection(req, timeout=60)
    connection.request("GET", "/bench/value")
    body = connection.getresponse().read()
    then = time.monotonic_ns()
    connection.close()
    return f"{then} {len(body)}"
`

// writeFunctions writes the functions' files.
func writeFunctions(dir string) error {
	var errs []error
	for name, code := range map[string]string{"giver": giver, "taker": taker, "fetcher": fetcher} {
		folder := filepath.Join(dir, name)
		errs = append(errs, os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "handler.py"), []byte(code), 0o644))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write the functions: %w", err)
	}
	return nil
}
