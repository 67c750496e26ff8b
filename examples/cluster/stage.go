package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dahernan/gopherdiscovery"
)

// observer is the peer whose lists are printed. It is there from the first to the last.
const observer = "peer-1"

// stage is where the children play. Only the goroutine of play uses it, but for the two channels' worth of what they say.
type stage struct {
	cast     map[string]*child
	events   chan event
	children sync.WaitGroup
}

// child is a process of this program in another role.
type child struct {
	name    string
	cmd     *exec.Cmd
	stop    context.CancelFunc
	hello   report
	last    report // with the last list
	leaving bool
}

// event is what a child has reported, or that it has ended.
type event struct {
	from *child
	report
	ended bool
	err   error
}

func newStage() *stage {
	return &stage{cast: make(map[string]*child), events: make(chan event)}
}
