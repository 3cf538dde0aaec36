package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/pipeline"
)

func newInvoke(a *app) *cobra.Command {
	var data, contentType string
	at := targetFlags{}
	var timeout time.Duration
	var trace bool
	cmd := &cobra.Command{
		Use:   "invoke NAME [-d JSON|@FILE|-]",
		Short: "Call a served workflow or one of its functions",
		Long: `Calls a workflow, or a single function, that "chiron up" serves, and prints its
answer. The exit code is 1 where the call failed.`,
		Example: `  chiron invoke finra-5 -d @examples/finra-5/sample.json
  echo '{"name": "Ada"}' | chiron invoke hello -d -`,
		Args: one("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout < 0 {
				return usagef("--timeout %v: give a positive duration, such as 30s", timeout)
			}
			o := pipeline.InvokeOptions{Name: args[0], ContentType: contentType, Timeout: timeout, Trace: trace}
			done, err := a.reach(cmd.Context(), &at, &o)
			if err != nil {
				return err
			}
			defer done()
			if o.Body, err = a.readData(data); err != nil {
				return err
			}
			answer, err := pipeline.Invoke(cmd.Context(), o)
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("invoke %s: no answer within %v: give it longer with --timeout", args[0], timeout)
			}
			if err != nil {
				return err
			}
			return a.answered(answer)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&data, "data", "d", "{}", "the `input`: as it is, @FILE, or - for standard input")
	flags.StringVar(&at.target, "target", "", "kubernetes, or one with a gateway; default: as the flags say")
	flags.StringVar(&at.gateway, "gateway", "", "`address` that serves it; default: as chiron ps says, or "+defaultListen)
	flags.StringVar(&at.namespace, "namespace", "", "`namespace` there; default: the gateway's own, or the context's")
	at.addCluster(cmd)
	flags.StringVar(&contentType, "content-type", "", "`type` of the input; default: JSON where it is JSON, else text")
	flags.DurationVar(&timeout, "timeout", time.Minute, "how long to wait for the answer")
	flags.BoolVar(&trace, "trace", false, "show when each function ran, on standard error")
	return cmd
}

// reach says where what is to be invoked is served, and makes a way there where it
// is in a cluster; done closes that.
func (a *app) reach(ctx context.Context, at *targetFlags, o *pipeline.InvokeOptions) (done func(), err error) {
	done = func() {}
	kind, err := at.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case targetKubernetes:
		target, err := at.cluster(kubernetes.Options{})
		if err != nil {
			return nil, err
		}
		way, err := target.Invoke(ctx, o.Name)
		if err != nil {
			return nil, at.explained(o.Name, err)
		}
		o.Gateway, o.Path = way.URL, way.Path
		return way.Close, nil
	case targetOpenFaaS:
		if o.Gateway, err = at.url(a); err != nil {
			return nil, err
		}
		if at.namespace != "" {
			o.Path = "/function/" + url.PathEscape(o.Name) + "." + url.PathEscape(at.namespace)
		}
		return done, nil
	}
	o.Gateway, err = parseGateway(a.gatewayOf(ctx, o.Name, defaultListen))
	return done, err
}

// parseGateway reads the address of a gateway: a URL, or HOST:PORT.
func parseGateway(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usagef("--gateway %q is no address: write for example http://%s", s, defaultListen)
	}
	return strings.TrimRight(s, "/"), nil
}

// gatewayOf is where a workflow or function is served on this machine, a workflow
// before a function; otherwise where nobody says.
func (a *app) gatewayOf(ctx context.Context, name, otherwise string) string {
	target, err := a.target("")
	if err != nil {
		return otherwise
	}
	all, err := target.List(ctx)
	if err != nil {
		return otherwise
	}
	found := otherwise
	for _, d := range all {
		if d.Gateway == "" || d.State == deploy.Dead {
			continue
		}
		if d.Name == name {
			return d.Gateway
		}
		for _, w := range d.Wraps {
			if slices.Contains(w.Functions, name) {
				found = d.Gateway
			}
		}
	}
	return found
}

// maxInput is the most that is read from a file or standard input, bytes: a
// mistaken file does not fill the memory.
const maxInput = 1 << 30

// readData reads the value of --data.
func (a *app) readData(data string) ([]byte, error) {
	var from io.Reader
	file, isFile := strings.CutPrefix(data, "@")
	switch {
	case data == "-":
		from, file = a.in, "standard input"
	case isFile:
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the input: %w", err)
		}
		defer func() { _ = f.Close() }()
		from = f
	default:
		return []byte(data), nil
	}
	body, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read the input from %s: %w", file, err)
	}
	if len(body) > maxInput {
		return nil, fmt.Errorf("read the input from %s: it is over %s", file, bytesText(maxInput))
	}
	return body, nil
}

// answerReport is an answer with --output json.
type answerReport struct {
	Name       string          `json:"name"`
	Status     int             `json:"status"`
	DurationMS pipeline.Millis `json:"duration_ms"`
	RequestID  string          `json:"request_id,omitempty"`
	// Body is the answer where it is JSON; else Text is.
	Body  json.RawMessage `json:"body,omitempty"`
	Text  string          `json:"text,omitempty"`
	Trace json.RawMessage `json:"trace,omitempty"`
}

// answered prints an answer, and fails where it is a failure.
func (a *app) answered(answer *pipeline.Answer) error {
	if a.output == jsonOutput {
		r := answerReport{Name: answer.Name, Status: answer.Status, DurationMS: pipeline.Millis(answer.Took), RequestID: answer.RequestID}
		if json.Valid(answer.Body) {
			r.Body = answer.Body
		} else {
			r.Text = strings.ToValidUTF8(string(answer.Body), "\uFFFD")
		}
		if json.Valid([]byte(answer.Trace)) {
			r.Trace = json.RawMessage(answer.Trace)
		}
		if err := a.report(r, nil); err != nil {
			return err
		}
		return errorOf(answer, errSaid)
	}
	if failed := answer.Failure(); failed != nil {
		return failed
	}
	if _, err := a.out.Write(answer.Body); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if n := len(answer.Body); a.isTerminal(a.out) && n > 0 && answer.Body[n-1] != '\n' {
		printf(a.out, "\n")
	}
	if answer.Trace != "" {
		return a.printTrace(answer)
	}
	return nil
}

// errorOf is said where the answer is a failure.
func errorOf(answer *pipeline.Answer, said error) error {
	if answer.Failure() != nil {
		return said
	}
	return nil
}
