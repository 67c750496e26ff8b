package gopherdiscovery

import (
	"slices"
	"testing"
)

// What a reader receives depends on when it reads: "take" lets it read.
func TestDelivery(t *testing.T) {
	a, b, none := []string{"a"}, []string{"b"}, []string{}
	take := []string(nil)
	for _, test := range []struct {
		name  string
		steps [][]string
		want  [][]string // what the reader receives, at last what waits for it
	}{
		{"each list", [][]string{a, take, b, take}, [][]string{a, b}},
		{"only the newest that waits", [][]string{a, b}, [][]string{b}},
		{"no list twice", [][]string{a, take, a}, [][]string{a}},
		{"no list twice though another waited in between", [][]string{a, take, b, a}, [][]string{a}},
		{"a list again after another", [][]string{a, take, b, take, a}, [][]string{a, b, a}},
		{"an empty first list", [][]string{none}, [][]string{none}},
		{"an empty list once", [][]string{none, take, none}, [][]string{none}},
		{"waiting lists that cancel out, then a new one", [][]string{a, take, b, a, b}, [][]string{a, b}},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := make(chan []string, 1)
			var d delivery
			var got [][]string
			for _, step := range test.steps {
				if step != nil {
					d.deliver(changes, step)
					continue
				}
				select {
				case list := <-changes:
					got = append(got, list)
				default:
				}
			}
			if len(changes) > 0 {
				got = append(got, <-changes)
			}
			if !slices.EqualFunc(got, test.want, slices.Equal[[]string]) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDeliveredListsAreFresh(t *testing.T) {
	changes := make(chan []string, 1)
	var d delivery
	list := []string{"a", "b"}
	d.deliver(changes, list)
	clear(<-changes)
	if list[0] != "a" {
		t.Error("the receiver's list is the sender's")
	}
}
