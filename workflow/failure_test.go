package workflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

func TestFailureOf(t *testing.T) {
	own := &Failure{Name: "Mine", Cause: "so", State: "A"}
	late := &Failure{Name: ErrTimeout, Cause: "function"}
	for _, c := range []struct {
		err         error
		name, cause string
		status      int
	}{
		{own, "Mine", "so", 500},
		{fmt.Errorf("stage: %w", late), ErrTimeout, "function", 504},
		{fmt.Errorf("call: %w", context.DeadlineExceeded), ErrTimeout, "the request ran past its deadline", 504},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, ErrTimeout, "the request ran past its deadline", 504},
		{context.Canceled, ErrTaskFailed, "the caller left before the answer", 500},
		{errors.New("no JSON"), ErrRuntime, "no JSON", 500},
		{errors.New(strings.Repeat("x", 2*MaxCause)), ErrRuntime, strings.Repeat("x", MaxCause) + "…", 500},
	} {
		f := FailureOf(c.err)
		if f.Name != c.name || f.Cause != c.cause || f.HTTPStatus() != c.status {
			t.Errorf("%.100v: %s: %.100s, %d", c.err, f.Name, f.Cause, f.HTTPStatus())
		}
	}
	if FailureOf(fmt.Errorf("x: %w", own)) != own {
		t.Error("a failure is made anew")
	}
}
