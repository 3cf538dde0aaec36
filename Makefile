# make run    build, then run examples/finra-5 end to end
# make test   what CI runs, besides make test-kube
#             (SYSTEMS= leaves out the side by side of the deployment models)
# make services       start the stores of the paper's workflows on loopback, with their data
# make services-stop  end them
# make test-kube      tests on a true Kubernetes cluster of one node (root; the first time it compiles Kubernetes)
# make kube-up        bring that cluster up; export KUBECONFIG=.cache/kube/kubeconfig
# make kube-down      end it; nothing of it stays
# make controller-image  the image of chiron-controller, which runs Workflow resources, into bin
#             (REGISTRY=registry.example.org/team TAG=v1 pushes it, too)
# make bench  Go's benchmarks, how the search's time grows, and the experiments on the runtime
# make profile  profiles of the hot path into bin/profiles

GO     ?= go
BIN    := bin/chiron
PYTHON := host/python
VENV   := .cache/venv
# Learned models, an optional tool: see bench/yardsticks/requirements.txt.
YARDSTICKS := bench/yardsticks
SHAPES := bench/accuracy/shapes/functions
# Projects that make test measures shortly under every deployment model; empty: none.
SYSTEMS ?= examples/finra-5
WORKFLOWS := bench/workflows/projects
# The object server of the workflows' services, built from its sources.
GATEWAY := .cache/bin/versitygw
# The programs of the cluster of test/kube, built from their sources.
KUBE := .cache/kube/bin
KUBE_PROGRAMS := kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl
# CPUs that its node promises: while a plan is replaced, two are there at once.
KUBE_CPUS ?= 16
# Packages that compute for long: the race detector makes that up to 16 times as long,
# so they are tested without it. With it, they do with fewer cases; those that start no
# goroutine are left out, since it has nothing to find there. A test keeps that so.
COMPUTING  := plan/model plan/pgp predict simulate
SEQUENTIAL := plan/model simulate
# ruff fails for a folder that is not there.
EXAMPLES := $(wildcard examples)
TOOL   := $(GO) tool -modfile=tools/go.mod
# Where make controller-image pushes to; empty: nowhere, it is a file alone.
REGISTRY ?=
TAG      ?= dev

.PHONY: all build controller controller-image generate run test check check-go check-python test-go test-python test-systems bench profile services services-stop prerequisites-kube kube kube-up kube-down test-kube fuzz fmt prerequisites clean

all: build

# chiron finds chiron-agent beside itself. Without cgo, the agent runs in any image.
build: prerequisites
	CGO_ENABLED=0 $(GO) build -trimpath -o $(dir $(BIN)) ./cmd/chiron ./cmd/chiron-agent

# Apart from the others: a controller's libraries take long to compile.
controller:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(dir $(BIN)) ./cmd/chiron-controller

# One program on nothing. GOARCH=arm64 makes that of nodes of another kind.
controller-image: controller
	GOARCH= $(GO) run ./bundle/oci/programimage -output bin/chiron-controller.tar -registry "$(REGISTRY)" -tag "$(TAG)" \
		-description "Plans the Workflow resources of a Kubernetes cluster and runs them." $(dir $(BIN))chiron-controller

# The object of the eBPF tracer, which is committed; needs clang-14, llvm-14 and
# libbpf-dev (Debian's names). A test says when it is due.
generate:
	$(GO) generate ./profile/ebpf

run: build
	$(BIN) run examples/finra-5

test: check test-python test-go test-systems

# What this repository needs besides Go; installs it where it may (root on
# Debian), else prints the one line that does.
prerequisites:
	@scripts/prerequisites

check: check-go check-python

check-go: prerequisites
	@unformatted=$$($(TOOL) gofumpt -l .); \
	if [ -n "$$unformatted" ]; then echo "not gofumpt clean (make fmt): $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...

check-python: $(VENV)/ready
	$(VENV)/bin/ruff check $(PYTHON) $(EXAMPLES) $(YARDSTICKS) $(SHAPES) $(WORKFLOWS)
	$(VENV)/bin/ruff format --check $(PYTHON) $(EXAMPLES) $(YARDSTICKS) $(SHAPES) $(WORKFLOWS)
	cd $(PYTHON) && $(CURDIR)/$(VENV)/bin/mypy
	cd $(YARDSTICKS) && $(CURDIR)/$(VENV)/bin/mypy

# Other ports: make services SERVICES='-redis-port 6380', and see docs/workflows.md.
services: $(GATEWAY)
	@scripts/prerequisites services
	@$(GO) run ./bench/services/servicectl start $(SERVICES)

services-stop:
	@$(GO) run ./bench/services/servicectl stop

$(GATEWAY): tools/services/go.mod tools/services/go.sum
	cd tools/services && $(GO) build -trimpath -o $(CURDIR)/$@ github.com/versity/versitygw/cmd/versitygw

# The programs say the version that they are: clients read it.
$(KUBE)/kubernetes: tools/kubernetes/go.mod tools/kubernetes/go.sum | prerequisites-kube
	cd tools/kubernetes && CGO_ENABLED=0 $(GO) build -trimpath -o $(CURDIR)/$(KUBE)/ \
		-ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$($(GO) list -m -f '{{.Version}}' k8s.io/kubernetes)" \
		$(KUBE_PROGRAMS:%=k8s.io/kubernetes/cmd/%)
	@touch $@

$(KUBE)/coredns: tools/coredns/go.mod tools/coredns/go.sum tools/coredns/main.go | prerequisites-kube
	cd tools/coredns && CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(CURDIR)/$@ .

# What is missing is told before Kubernetes is compiled.
kube: prerequisites-kube $(KUBE)/kubernetes $(KUBE)/coredns
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(KUBE)/ ./test/kube/clusterctl ./test/kube/pause

prerequisites-kube:
	@scripts/prerequisites kube

kube-up: kube
	@$(KUBE)/clusterctl up -cpus $(KUBE_CPUS)

kube-down:
	@if [ -x $(KUBE)/clusterctl ]; then $(KUBE)/clusterctl down; fi

test-kube: kube
	@scripts/test-kube $(KUBE_CPUS)

# -p 2: packages that start processes and measure must not starve each other. The
# longest comes first, so that nothing waits for it in the end; what it builds is
# compiled before, so that it is not compiled twice at once.
test-go: prerequisites $(GATEWAY)
	@scripts/prerequisites test
	@scripts/prerequisites services || echo "bench/services, bench/workflows: their stores are not tested"
	$(GO) test -p 2 $(COMPUTING:%=./%)
	$(GO) build -race ./cmd/...
	$(GO) test -race -p 2 -timeout 14m ./test/e2e \
		$$($(GO) list ./... | grep -vxF $(SEQUENTIAL:%=-e github.com/chiron-faas/chiron/%))

test-python: $(VENV)/ready
	scripts/test-python $(VENV)
	@if $(VENV)/bin/python -c 'import jax, sklearn' 2>/dev/null; \
	then cd $(YARDSTICKS) && $(CURDIR)/$(VENV)/bin/python -m pytest -q -p no:cacheprovider; \
	else echo "$(YARDSTICKS): not tested, its requirements are not installed"; fi

# Fails where a system does not run a workflow, or answers wrongly; targets are
# told, not asked for.
test-systems: build
	$(if $(strip $(SYSTEMS)),$(BIN) bench systems --quick $(SYSTEMS),@echo "no side by side: SYSTEMS is empty")

bench: build
	@scripts/prerequisites bench
	$(GO) test -run '^$$' -bench . -benchtime 300ms ./...
	CHIRON_GROWTH=$(CURDIR)/bin/search-growth.svg $(GO) test -count 1 -v -run TestGrowth ./plan/pgp
	$(BIN) bench path
	$(BIN) bench runtime
	$(BIN) bench cold
	$(BIN) bench transfer

# What docs/hot-path.md shows; perf(1) is used where it is there.
profile: build
	scripts/profile bin/profiles

# One minute a fuzz target; the seeds run with every test.
fuzz:
	scripts/fuzz 60s

fmt: $(VENV)/ready
	$(TOOL) gofumpt -w .
	$(VENV)/bin/ruff format $(PYTHON) $(EXAMPLES) $(YARDSTICKS) $(SHAPES) $(WORKFLOWS)

$(VENV)/ready: tools/requirements.txt tools/requirements-tests.txt scripts/prerequisites
	@scripts/prerequisites
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tools/requirements.txt
	@touch $@

clean:
	@if [ -e .cache/services/services.json ]; then $(MAKE) services-stop; fi
	@$(MAKE) --no-print-directory kube-down
	rm -rf bin .cache
