// Program watchdog serves as the watchdogs of OpenFaaS do, and tells what a
// container sees.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch os.Getenv("MODE") {
	case "crash":
		fmt.Fprintln(os.Stderr, "no such database")
		os.Exit(3)
	case "silent":
		time.Sleep(time.Hour)
	}
	port := os.Getenv("port")
	if port == "" {
		port = "8080"
	}
	http.HandleFunc("/_/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") })
	http.HandleFunc("/see", see)
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	http.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.WriteFile(r.URL.Query().Get("path"), []byte("x"), 0o600))
	})
	http.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		c := http.Client{Timeout: 2 * time.Second}
		resp, err := c.Get(r.URL.Query().Get("url"))
		if err != nil {
			fmt.Fprint(w, "error: ", err)
			return
		}
		fmt.Fprint(w, resp.StatusCode, " ")
		_, _ = io.Copy(w, resp.Body)
	})
	http.HandleFunc("/eat", func(w http.ResponseWriter, _ *http.Request) {
		var all [][]byte
		for range 64 {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
		}
		fmt.Fprint(w, len(all))
	})
	http.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second)
		fmt.Fprint(w, "done")
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println("seen", string(body))
		fmt.Fprintf(w, "%s %s %s", os.Getenv("WORD"), r.URL.Path, body)
	})
	server := &http.Server{Addr: ":" + port}
	done := make(chan struct{})
	go func() {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		<-asked
		fmt.Println("finishing")
		_ = server.Close()
		close(done)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-done
}

// see tells what the container sees of itself and of the machine.
func see(w http.ResponseWriter, _ *http.Request) {
	seen := map[string]any{"uid": os.Getuid(), "gid": os.Getgid(), "pid": os.Getpid()}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		if key == "CapEff" || key == "CapBnd" || key == "NoNewPrivs" || key == "Seccomp" {
			seen[key] = strings.TrimSpace(value)
		}
	}
	secrets, err := os.ReadFile("/var/openfaas/secrets/api-key")
	seen["secret"], seen["secretError"] = string(secrets), fmt.Sprint(err)
	interfaces, _ := net.Interfaces()
	names := []string{}
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	seen["interfaces"] = names
	processes, _ := os.ReadDir("/proc")
	n := 0
	for _, p := range processes {
		if p.Name()[0] >= '0' && p.Name()[0] <= '9' {
			n++
		}
	}
	seen["processes"] = n
	seen["host"], _ = os.Hostname()
	seen["unshare"] = fmt.Sprint(syscall.Unshare(syscall.CLONE_NEWUSER))
	seen["env"] = os.Environ()
	seen["cwd"], _ = os.Getwd()
	_ = json.NewEncoder(w).Encode(seen)
}
