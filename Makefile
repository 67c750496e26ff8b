# CONTRIBUTING.md says what each of these is for.

.PHONY: check bench faults

check:
	.ci/run

bench:
	go run ./bench -etcd -memberlist

faults:
	FAULTS=long go test -count=1 -v ./faults
