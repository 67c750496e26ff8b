package main

import "sync"

// workers is how many calls of each run concurrently.
const workers = 32

// each calls do for each number below n, and returns the first error.
func each(n int, do func(i int) error) error {
	work, failed := make(chan int), make(chan error, workers)
	var wg sync.WaitGroup
	for range min(n, workers) {
		wg.Go(func() {
			for i := range work {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case work <- i:
		case err = <-failed:
		}
	}
	close(work)
	wg.Wait()
	close(failed)
	if err == nil {
		err = <-failed // nil if there is none
	}
	return err
}
