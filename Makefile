# Short names for commands of README.md and for .ci/run. Nothing needs make.
.PHONY: test check bench

test:
	go test ./...

check:
	.ci/run

bench:
	go run . bench
