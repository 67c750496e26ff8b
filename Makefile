# CONTRIBUTING.md says what each of these is for.

.PHONY: check bench faults pictures

check:
	.ci/run

bench:
	go run ./bench -etcd -memberlist

faults:
	FAULTS=long go test -count=1 -v ./faults

pictures:
	go test -count=1 -run Picture ./integrations/web ./examples/loadbalancer -pictures
