package main

import (
	"context"

	"github.com/spf13/cobra"
)

// run is the whole program: it parses args, does the work, prints, and returns
// the exit code.
func run(ctx context.Context, a *app, args []string) int {
	a.output = textOutput
	root := newRoot(a)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return a.tell(cmd, err)
}

// newRoot is the list of all verbs.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "chiron",
		Short: "Run serverless workflows within a latency objective, on the fewest CPUs",
		Long: `Chiron measures the functions of a workflow, searches for the placement in
processes and sandboxes that meets your latency objective with the fewest CPUs,
and runs it.`,
		Example: `  chiron init hello        # write a small project
  chiron run hello         # measure, plan, deploy, invoke, report`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.running = true
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.PersistentFlags().VarP(&a.output, "output", "o", "`form` of reports: text or json")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "tell more about what is going on")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	root.AddGroup(
		&cobra.Group{ID: "whole", Title: "From a project to a report:"},
		&cobra.Group{ID: "step", Title: "Step by step:"},
		&cobra.Group{ID: "serve", Title: "Serve and watch:"},
		&cobra.Group{ID: "machine", Title: "This machine and this program:"},
	)
	root.SetHelpCommandGroupID("machine")
	root.SetCompletionCommandGroupID("machine")
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("whole", newInit(a), newImport(a), newRun(a))
	add("step", newProfile(a), newPlan(a), newSimulate(a), newBuild(a))
	add("serve", newUp(a), newDeploy(a), newRender(a), newGateway(a), newLogin(a), newInvoke(a), newPs(a), newLogs(a), newDown(a))
	add("machine", newDoctor(a), newCalibrate(a), newBench(a), newVersion(a))
	return root
}
