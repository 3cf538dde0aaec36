package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// The control socket lies in the deployment's folder, which only its user may
// enter. A caller sends one line, "status" or "down", and gets one: JSON of
// deploy.Status; or, when the deployment is gone, the end of the connection.

const (
	controlSocket = "control.sock"
	// controlPatience bounds the reading of a request and of a status.
	controlPatience = 5 * time.Second
	// acceptPause is waited after a connection that could not be taken.
	acceptPause = 50 * time.Millisecond
)

// serveControl answers until the socket is closed.
func (k *keeper) serveControl() {
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		c, err := k.control.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many open files: others may close theirs
			k.target.options.Log.Warn("a caller could not be heard", "deployment", k.name, "error", err.Error())
			time.Sleep(acceptPause)
			continue
		}
		calls.Go(func() { k.answer(c) })
	}
}

func (k *keeper) answer(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(controlPatience))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		_ = c.Close()
		return
	}
	switch strings.TrimSpace(line) {
	case "status":
		s, err := k.Status(k.life)
		if err == nil {
			err = json.NewEncoder(c).Encode(s)
		}
		if err != nil {
			k.target.options.Log.Debug("a status was not told", "error", err.Error())
		}
		_ = c.Close()
	case "down":
		// The connection stays open until everything is gone; what takes down
		// waits for this goroutine, which therefore does not wait for it.
		go func() { // ends with done, which Down closes
			_ = k.Down(context.Background())
			_ = c.Close()
		}()
	default:
		_ = c.Close()
	}
}

// askStatus asks a deployment's keeper.
func askStatus(ctx context.Context, dir string) (deploy.Status, error) {
	var s deploy.Status
	c, err := ask(ctx, dir, "status")
	if err != nil {
		return s, err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(controlPatience))
	if err := json.NewDecoder(c).Decode(&s); err != nil {
		return s, fmt.Errorf("the keeper's answer: %w", err)
	}
	return s, nil
}

// askDown asks a deployment's keeper to take it down, and waits until it has.
func askDown(ctx context.Context, dir string) error {
	c, err := ask(ctx, dir, "down")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Now()) })
	defer stop()
	_, _ = c.Read(make([]byte, 1)) // until it is closed
	return errors.Join(ctx.Err(), c.Close())
}

func ask(ctx context.Context, dir, what string) (net.Conn, error) {
	d := net.Dialer{Timeout: controlPatience}
	c, err := d.DialContext(ctx, "unix", filepath.Join(dir, controlSocket))
	if err != nil {
		return nil, fmt.Errorf("ask the deployment's keeper: %w", err)
	}
	if _, err := c.Write([]byte(what + "\n")); err != nil {
		return nil, errors.Join(fmt.Errorf("ask the deployment's keeper: %w", err), c.Close())
	}
	return c, nil
}
