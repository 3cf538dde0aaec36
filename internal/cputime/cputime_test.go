package cputime

import (
	"os"
	"testing"
)

func TestOf(t *testing.T) {
	before, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 1e8; n++ { // it must show, and at most what passed
		_ = n
	}
	after, err := Of(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("%v after %v: %v", after, before, err)
	}
	// Beyond the kernel's highest number (PID_MAX_LIMIT).
	if _, err := Of(1<<22 + 1); err == nil {
		t.Error("of a process that there is not: no error")
	}
}
