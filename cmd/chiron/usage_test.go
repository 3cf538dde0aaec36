package main

import (
	"strings"
	"testing"
)

// TestWrongUse: exit code 2 and one line that says what is wrong and where to
// read on.
func TestWrongUse(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"nonsense", `unknown command "nonsense" for "chiron"`},
		{"profil", "did you mean profile?"},
		{"--nonsense", "unknown flag: --nonsense"},
		{"version --output xml", "text or json"},
		{"version now", `"now"`},
		{"doctor --listen", "needs an argument"},
		{"profile", "DIR is missing"},
		{"profile a b", `"b" is one too many`},
		{"profile . --runs 3", "at least 10"},
		{"profile . --runs many", "invalid argument"},
		{"plan", "DIR is missing"},
		{"plan . --slo 0s", "--slo 0s"},
		{"plan . --slo 120", "invalid argument"},
		{"plan . --percentile 99", "without --slo"},
		{"plan . --slo 1s --percentile 100", "--percentile 100"},
		{"plan . --model best", "faastlane"},
		{"plan . --runs 1", "at least 10"},
		{"plan . --objective speed", "cpus, latency, money"},
		{"plan . --cpus 0", "--cpus 0"},
		{"simulate", "DIR is missing"},
		{"simulate .", "--rate is missing"},
		{"simulate . --rate 0", "from 1e-06"},
		{"simulate . --rate -5/s", "from 1e-06"},
		{"simulate . --rate 1e300/s", "from 1e-06"},
		{"simulate . --rate NaN", "from 1e-06"},
		{"simulate . --rate fast", "50/s, 3000/m"},
		{"simulate . --rate 5/d", "50/s, 3000/m"},
		{"simulate . --rate 5/", "50/s, 3000/m"},
		{"simulate . --rate 5 --nodes 0", "--nodes 0"},
		{"simulate . --rate 5 --nodes 9999999", "1 to 1000000"},
		{"simulate . --rate 5 --node-cpus 0", "--node-cpus 0"},
		{"simulate . --rate 5 --node-memory much", "512MB"},
		{"simulate . --rate 5 --node-memory -1GB", "512MB"},
		{"simulate . --rate 5 --node-memory 1e30GB", "512MB"},
		{"simulate . --rate 5 --requests 0", "--requests 0"},
		{"simulate . --rate 5 --requests 20000000 --warm-up 1", "at most 20000000"},
		{"simulate . --rate 5 --warm-up -2", "--warm-up -2"},
		{"simulate . --rate 5 --instances 3..2", "not below MIN"},
		{"simulate . --rate 5 --instances 0", "at least 1"},
		{"simulate . --rate 5 --instances ..", "MIN..MAX"},
		{"simulate . --rate 5 --idle 0s", "--idle 0s"},
		{"simulate . --rate 5 --cold-start -1s", "--cold-start -1s"},
		{"simulate . --rate 5 --concurrency 0", "--concurrency 0"},
		{"simulate . --rate 5 --queue -1", "--queue -1"},
		{"simulate . --rate 5 --models best", "faastlane"},
		{"simulate . --rate 5 --arrivals often", "poisson or steady"},
		{"bench simulate", "DIR is missing"},
		{"bench simulate . --rates 0", "--rates 0"},
		{"calibrate here", `"here"`},
		{"calibrate --runs -1", "--runs -1"},
		{"init", "DIR is missing"},
		{"init x --lang cobol", "python"},
		{"run", "DIR or FILE is missing"},
		{"run . --requests 10", "at least 50"},
		{"run . --warm-up 0", "at least one"},
		{"build", "DIR is missing"},
		{"build . --base python:3.12", "--push or --output"},
		{"build . --platform linux/arm64", "--push or --output"},
		{"build . --output a.tar --output b.tar", "one too many"},
		{"build . --output a.tar.gz", "FILE.tar"},
		{"build . --push https://registry.example.org", "leave out"},
		{"build . --push me:s3cret@registry.example.org/team", "docker login"},
		{"build . --output a.tar --tag Two/words", "cannot be named so"},
		{"build . --workflow", "--push or --output"},
		{"build . --workflow --output a.tar --slo 1s", "--slo says nothing"},
		{"up", "DIR is missing"},
		{"up . --listen here", "HOST:PORT"},
		{"up . --listen 127.0.0.1:99999", "0 to 65535"},
		{"up . --slo 0s", "--slo 0s"},
		{"up . --instances many", "MIN..MAX"},
		{"up . --instances 0", "at least 1"},
		{"up . --instances 3..2", "not below MIN"},
		{"up . --instances -1..2", "MIN..MAX"},
		{"up . --idle 0s", "--idle 0s"},
		{"up . --concurrency 0", "--concurrency 0"},
		{"plan . --concurrency 100000", "1 to 10000"},
		{"bench", "name an experiment"},
		{"bench nonsense", "nonsense"},
		{"bench accuracy", "DIR is missing"},
		{"bench accuracy --shapes cube", "there is no shape \"cube\""},
		{"bench accuracy --shapes sn --sample -1", "--sample -1"},
		{"bench accuracy report", "DIR is missing"},
		{"bench path x", `"x"`},
		{"bench search", "DIR is missing"},
		{"bench search . --rounds -1", "--rounds"},
		{"bench path --rounds -1", "--rounds"},
		{"bench transfer --rounds -1", "--rounds -1"},
		{"bench transfer --sizes 0", "--sizes 0"},
		{"bench runtime nonsense", "there is no experiment \"nonsense\""},
		{"bench runtime --rounds -1", "--rounds"},
		{"bench cold x", `"x"`},
		{"bench cold --rounds -1", "--rounds"},
		{"bench systems --workflows sm", "there is no workflow \"sm\""},
		{"bench systems --shapes cube", "there is no shape \"cube\""},
		{"bench systems --shapes sn --rounds -1", "--rounds"},
		{"bench systems --shapes sn --rounds 1", "2 rounds"},
		{"bench systems --shapes sn --systems best", "no system \"best\""},
		{"bench systems report", "DIR is missing"},
		{"deploy . --target kubernetes --gateway http://127.0.0.1:8080", "exclude each other"},
		{"deploy . --target openfaas --context here", "exclude each other"},
		{"deploy . --gateway http://127.0.0.1:8080 --context here", "choose a --target"},
		{"deploy . --target kubernetes --instances 0..3", "at least 1"},
		{"deploy . --target kubernetes --memory much", "512Mi"},
		{"deploy . --target kubernetes --memory 5", "too little"},
		{"deploy . --target kubernetes --overcommit 0", "--overcommit 0"},
		{"deploy . --target kubernetes --grace 0s", "--grace 0s"},
		{"deploy . --target kubernetes --allow-from Up", `"Up"`},
		{"deploy . --target kubernetes --base python:3.12", "name a --registry"},
		{"deploy . --target kubernetes --registry http://here", "leave out"},
		{"deploy . --target kubernetes --timeout -1s", "--timeout -1s"},
		{"render", "DIR is missing"},
		{"render . --push", "name the --registry"},
		{"render . --instances 3..2", "MIN..MAX"},
		{"render . --namespace No.Name", `"No.Name"`},
		{"render . --env A", "NAME=VALUE"},
		{"render . --env A-B=c", "NAME=VALUE"},
		{"render . --workflow --knative", "exclude each other"},
		{"render . --workflow --cpus 2", "--cpus says nothing"},
		{"render . --workflow --calibration x --no-calibration", "exclude each other"},
		{"render . --no-calibration", "is for a --workflow"},
		{"deploy", "DIR is missing"},
		{"deploy .", "--target is missing"},
		{"deploy . --target nomad", "local, openfaas or kubernetes"},
		{"deploy . --gateway ftp://x", "ftp://x"},
		{"deploy . --gateway http://x --label y", "KEY=VALUE"},
		{"deploy . --gateway http://x --drain 0s", "--drain 0s"},
		{"gateway x", `"x"`},
		{"import", "STACK is missing"},
		{"gateway --listen here", "HOST:PORT"},
		{"login", "--password-stdin is missing"},
		{"ps --target local --gateway http://x", "exclude each other"},
		{"ps a b", `"b"`},
		{"down --all x", "exclude each other"},
		{"logs --tail -1", "--tail -1"},
		{"logs --since -1m", "--since"},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := chiron(t, strings.Fields(c.args)...)
			if got.code != exitUsage {
				t.Errorf("exit code %d, want %d", got.code, exitUsage)
			}
			if got.out != "" {
				t.Errorf("standard output: %q", got.out)
			}
			if !strings.Contains(got.err, c.want) || !strings.Contains(got.err, "; see: chiron") || strings.Count(got.err, "\n") != 1 {
				t.Errorf("standard error: %q, want one line with %q and where to read on", got.err, c.want)
			}
		})
	}
}

// TestFailedWork: exit code 1, and no lesson on usage.
func TestFailedWork(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", empty) // where deployments are looked for
	for _, args := range [][]string{
		{"profile", empty},
		{"profile", empty + "/none"},
		{"plan", empty},
		{"run", empty},
		{"up", empty},
		{"build", empty},
		{"ps", "no-such-deployment"},
		{"down", "no-such-deployment"},
		{"logs", "no-such-deployment"},
		{"simulate", empty, "--rate", "5"},
		{"simulate", empty, "--arrivals", empty + "/none.csv"},
	} {
		got := chiron(t, args...)
		if got.code != exitFailed || got.out != "" || got.err == "" || strings.Contains(got.err, "--help") {
			t.Errorf("%v: exit code %d, %q, %q", args, got.code, got.out, got.err)
		}
	}
}
