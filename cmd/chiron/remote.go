package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/openfaas"
)

// targetFlags choose the target of a verb that looks at deployments.
type targetFlags struct {
	target, gateway, namespace string
	kubeconfig, context        string
}

// The values of --target.
const (
	targetLocal      = "local"
	targetOpenFaaS   = "openfaas"
	targetKubernetes = "kubernetes"
)

func (f *targetFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.target, "target", "", "local, openfaas or kubernetes; default: local, openfaas with\n--gateway, kubernetes with --kubeconfig or --context")
	flags.StringVar(&f.gateway, "gateway", "", "`URL` of an OpenFaaS gateway; default: $OPENFAAS_URL, or one here")
	flags.StringVar(&f.namespace, "namespace", "", "`namespace` there; default: the gateway's own, or the context's")
	f.addCluster(cmd)
}

// addCluster adds the flags that say which cluster is meant.
func (f *targetFlags) addCluster(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "`file` of a cluster's access; default: $KUBECONFIG, or ~/.kube/config")
	flags.StringVar(&f.context, "context", "", "`context` of that file; default: its current one")
	_ = cmd.RegisterFlagCompletionFunc("target", cobra.FixedCompletions([]string{targetLocal, targetOpenFaaS, targetKubernetes}, cobra.ShellCompDirectiveNoFileComp))
}

// kind says which target is asked for.
func (f *targetFlags) kind() (string, error) {
	cluster := f.kubeconfig != "" || f.context != ""
	kind := f.target
	if kind == "" {
		switch {
		case f.gateway != "" && cluster:
			return "", usagef("--gateway is OpenFaaS' and --kubeconfig, --context are Kubernetes': choose a --target")
		case f.gateway != "":
			kind = targetOpenFaaS
		case cluster:
			kind = targetKubernetes
		default:
			kind = targetLocal
		}
	}
	switch {
	case kind != targetLocal && kind != targetOpenFaaS && kind != targetKubernetes:
		return "", usagef("--target %q: it is %s, %s or %s", kind, targetLocal, targetOpenFaaS, targetKubernetes)
	case kind != targetOpenFaaS && f.gateway != "":
		return "", usagef("--target %s and --gateway exclude each other", kind)
	case kind != targetKubernetes && cluster:
		return "", usagef("--target %s and --kubeconfig, --context exclude each other", kind)
	}
	return kind, nil
}

// options of the OpenFaaS that the flags name, with the login that is kept for it.
func (f *targetFlags) options(a *app) (openfaas.Options, error) {
	gateway, err := f.url(a)
	if err != nil {
		return openfaas.Options{}, err
	}
	o := openfaas.Options{Gateway: gateway, Namespace: f.namespace}
	file, err := openfaas.LoginPath(a.env)
	if err != nil {
		return o, nil // without a HOME there is no login
	}
	o.Login, err = openfaas.ReadLogin(file, gateway)
	return o, err
}

// url of the gateway that the flags name.
func (f *targetFlags) url(a *app) (string, error) {
	gateway := f.gateway
	if gateway == "" {
		gateway = a.env("OPENFAAS_URL")
	}
	if gateway == "" {
		gateway = defaultListen
	}
	return parseGateway(gateway)
}

// chosen is the target that the flags name.
func (f *targetFlags) chosen(a *app) (deploy.Target, error) {
	kind, err := f.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case targetOpenFaaS:
		o, err := f.options(a)
		if err != nil {
			return nil, err
		}
		return openfaas.New(o)
	case targetKubernetes:
		return f.cluster(kubernetes.Options{})
	}
	return a.target("")
}

// cluster is the Kubernetes that the flags name.
func (f *targetFlags) cluster(o kubernetes.Options) (*kubernetes.Target, error) {
	var err error
	o.Client, err = kubernetes.NewClient(kubernetes.Access{Kubeconfig: f.kubeconfig, Context: f.context, Namespace: f.namespace})
	if err != nil {
		return nil, err
	}
	return kubernetes.New(o)
}

// loginReport is what chiron login did, with --output json.
type loginReport struct {
	Gateway string `json:"gateway"`
	User    string `json:"user"`
	File    string `json:"file"`
}

func newLogin(a *app) *cobra.Command {
	f := &targetFlags{}
	var user string
	var fromInput bool
	cmd := &cobra.Command{
		Use:   "login --gateway URL --password-stdin",
		Short: "Keep the password of an OpenFaaS gateway",
		Long: `Asks the gateway whether it takes the user and the password, and keeps them where
OpenFaaS' own client does: in ~/.openfaas/config.yml, which only you can read.`,
		Example: "  chiron login --gateway http://127.0.0.1:8080 --password-stdin < password.txt",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !fromInput {
				return usagef("--password-stdin is missing: the password is read from standard input, where no other program sees it")
			}
			line, err := bufio.NewReader(a.in).ReadString('\n')
			if password := strings.TrimRight(line, "\r\n"); password != "" {
				return a.login(cmd.Context(), f, openfaas.Login{User: user, Password: password})
			}
			return errors.Join(errors.New("the password on standard input is empty"), ignoreEnd(err))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.gateway, "gateway", "", "`URL` of the gateway; default: $OPENFAAS_URL, or http://127.0.0.1:8080")
	flags.StringVarP(&user, "username", "u", "admin", "the `user`")
	flags.BoolVarP(&fromInput, "password-stdin", "s", false, "read the password from standard input")
	return cmd
}

func (a *app) login(ctx context.Context, f *targetFlags, l openfaas.Login) error {
	gateway, err := f.url(a)
	if err != nil {
		return err
	}
	if strings.Contains(l.User, ":") || l.User == "" {
		return usagef("--username %q: a user's name is not empty and has no colon", l.User)
	}
	client, err := openfaas.NewClient(gateway, "", l)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := client.List(ctx); err != nil {
		return fmt.Errorf("nothing is kept: %w", err)
	}
	file, err := openfaas.LoginPath(a.env)
	if err != nil {
		return err
	}
	if err := openfaas.WriteLogin(file, gateway, l); err != nil {
		return err
	}
	return a.report(loginReport{gateway, l.User, file}, textLogin(gateway, l.User, file))
}
