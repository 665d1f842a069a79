.PHONY: demo demo-json test check bench instructions soak

demo:       ## one client, three replicas: the share of each, without the mesh and with it; then configured over gRPC
	@tests/scripts/demo

demo-json:  ## the same facts as JSON on stdout
	@tests/scripts/demo --json

test:       ## everything that CI runs: format, lints, unit, in-process and namespace tests, documentation
	@tests/scripts/test

check:      ## what needs neither root nor packages: format and lints
	@tests/scripts/check

bench:      ## side by side with other proxies; ARGS="--workloads h1,h2 --rounds 1"
	@tests/scripts/bench $(ARGS)

instructions: ## what a request costs in user instructions; ARGS=--record writes the figures anew
	@tests/scripts/instructions $(ARGS)

MINUTES ?= 10
soak:       ## mixed traffic on two workers while the endpoints change; `make soak MINUTES=1`
	@tests/scripts/soak $(MINUTES)
