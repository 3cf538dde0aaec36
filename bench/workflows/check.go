package workflows

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/bench/services"
	"github.com/chiron-faas/chiron/examples"
)

// Names of workflows with checks of their own.
const (
	sn     = "sn"
	mr     = "mr"
	slapp  = "slapp"
	slappV = "slapp-v"
)

// Checker says whether answers of one workflow to its sample input are right. It
// is safe for use by several goroutines at once.
type Checker struct {
	name  string
	check func(answer []byte) error
}

// NewChecker makes the checker of a workflow of List.
func NewChecker(name string) (*Checker, error) {
	c := &Checker{name: name}
	var err error
	switch {
	case !slices.Contains(List(), name):
		err = fmt.Errorf("there is none of that name: choose from %s", strings.Join(List(), ", "))
	case name == sn:
		c.check, err = newSocialCheck(services.Generate())
	case name == mr:
		c.check, err = newMovieCheck(services.Generate())
	case name == slapp:
		c.check, err = newSLAppCheck()
	case name == slappV:
		c.check, err = newSLAppVCheck()
	default:
		n, _ := finraSize(name) // List has sizes only that are one
		c.check, err = newFINRACheck(n)
	}
	if err != nil {
		return nil, fmt.Errorf("the checker of the workflow %q: %w", name, err)
	}
	return c, nil
}

// Check says what is wrong with an answer.
func (c *Checker) Check(answer []byte) error {
	if err := c.check(answer); err != nil {
		return fmt.Errorf("%s answers wrong: %w", c.name, err)
	}
	return nil
}

// Check says what is wrong with an answer of a workflow to its sample input.
func Check(name string, answer []byte) error {
	c, err := NewChecker(name)
	if err != nil {
		return err
	}
	return c.Check(answer)
}

// sample reads a workflow's sample input.
func sample(name string, into any) error {
	var data []byte
	var err error
	if strings.HasPrefix(name, finra) {
		data, err = fs.ReadFile(examples.FINRA5(), "sample.json")
	} else {
		data, err = fs.ReadFile(projects, "projects/"+name+"/sample.json")
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("sample.json: %w", err)
	}
	return nil
}

// same compares one value of an answer.
func same[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

// sameList compares one list of an answer.
func sameList[T comparable](what string, got, want []T) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s are %v, want %v", what, got, want)
	}
	return nil
}
